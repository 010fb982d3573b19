//! Wire types and generated services of Almanac.
//!
//! The types only carry the wire format: whether a message makes sense is for the services'
//! `convert` modules to say. Field documentation is in the `.proto` files.

/// Messages that both services share.
pub mod common {
    /// `almanac.common.v1`.
    pub mod v1 {
        tonic::include_proto!("almanac.common.v1");
    }
}

/// The ranking service.
pub mod ranking {
    /// `almanac.ranking.v1`.
    pub mod v1 {
        tonic::include_proto!("almanac.ranking.v1");
    }

    /// Descriptors of `almanac.ranking.v1` and of what it imports, for reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ranking.binpb"));
}

/// The forecast service.
pub mod forecast {
    /// `almanac.forecast.v1`.
    pub mod v1 {
        tonic::include_proto!("almanac.forecast.v1");
    }

    /// Descriptors of `almanac.forecast.v1` and of what it imports, for reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/forecast.binpb"));
}

/// An error reason as `google.rpc.ErrorInfo.reason` carries it.
pub trait Reason: Copy {
    /// The name without `ERROR_REASON_`: `RESOURCE_NOT_FOUND`.
    fn wire_name(self) -> &'static str;
}

macro_rules! reasons {
    ($($reason:ty),+) => {$(
        impl Reason for $reason {
            fn wire_name(self) -> &'static str {
                let name = self.as_str_name();
                name.strip_prefix("ERROR_REASON_").unwrap_or(name)
            }
        }
    )+};
}

reasons!(
    common::v1::ErrorReason,
    ranking::v1::ErrorReason,
    forecast::v1::ErrorReason
);
