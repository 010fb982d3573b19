//! When a call ends before its answer does: its deadline, and the end of the service.
//!
//! tonic has a timeout of its own, which answers CANCELLED without a reason and looks at the
//! headers of an answer only. It never comes to bear: it asks this layer first, and this layer goes
//! by the clock, not by the order in which timers fire.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use almanac_proto::common::v1::ErrorReason;
use http::HeaderMap;
use tokio::{
    sync::watch,
    time::{Instant, Sleep, sleep_until},
};
use tonic::Code;

use crate::fault::Fault;

/// The header in which a caller says how long it waits.
const TIMEOUT: &str = "grpc-timeout";

/// How far a service is with ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It takes calls.
    Serving,
    /// It finishes the calls that it has, and those that were on their way to it.
    Draining,
    /// Calls that have not finished are cut off.
    Over,
}

/// When a call that arrives now has to be answered, at the latest `most` from now.
///
/// # Errors
/// INVALID_ARGUMENT (DEADLINE_INVALID) for a `grpc-timeout` that cannot be read: a caller that gave
/// a deadline must not wait without one.
pub(crate) fn deadline(
    headers: &HeaderMap,
    most: Option<Duration>,
) -> Result<Option<Instant>, Fault> {
    let asked = match headers.get(TIMEOUT) {
        Some(text) => Some(text.to_str().ok().and_then(parse).ok_or_else(invalid)?),
        None => None,
    };
    let limit = asked.into_iter().chain(most).min();
    Ok(limit.and_then(|limit| Instant::now().checked_add(limit)))
}

/// One to eight digits and a unit, as gRPC over HTTP/2 has it; 0 is a deadline that has passed.
fn parse(text: &str) -> Option<Duration> {
    let (unit_at, unit) = text.char_indices().next_back()?;
    let digits = text.get(..unit_at)?;
    let plain = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| plain)?;
    match unit {
        'H' => Some(Duration::from_secs(number * 3600)),
        'M' => Some(Duration::from_secs(number * 60)),
        'S' => Some(Duration::from_secs(number)),
        'm' => Some(Duration::from_millis(number)),
        'u' => Some(Duration::from_micros(number)),
        'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

fn invalid() -> Fault {
    Fault::new(
        Code::InvalidArgument,
        ErrorReason::DeadlineInvalid,
        "grpc-timeout must be 1 to 8 digits and a unit, one of H, M, S, m, u, n",
    )
}

fn late() -> Fault {
    Fault::new(
        Code::DeadlineExceeded,
        ErrorReason::DeadlineExceeded,
        "the deadline passed and the work was stopped; a write that was under way may have \
         happened or not: the same request with the same request_id tells, and does it at most once",
    )
}

/// The fault of a call that the end of the service does not wait for.
pub(crate) fn draining() -> Fault {
    Fault::new(
        Code::Unavailable,
        ErrorReason::ServerDraining,
        "the service is shutting down; try another replica, or this one when it is back",
    )
}

/// What ends a call before its answer does. Most calls are answered when they are first looked at,
/// so that what it waits on is made only when it is waited on.
pub(crate) struct Ending {
    deadline: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    last: Phase,
    over: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Ending {
    /// At the deadline, and when the service has come to a phase.
    pub(crate) fn new(deadline: Option<Instant>, last: Phase) -> Self {
        Self {
            deadline,
            timer: None,
            last,
            over: None,
        }
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_late(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The fault of the call, once it is to end. `phase` tells how far the service is.
    pub(crate) fn poll(
        &mut self,
        phase: &watch::Receiver<Phase>,
        context: &mut Context<'_>,
    ) -> Poll<Fault> {
        if self.is_late() {
            return Poll::Ready(late());
        }
        if let Some(deadline) = self.deadline {
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if timer.as_mut().poll(context).is_ready() {
                return Poll::Ready(late());
            }
        }
        let last = self.last;
        let over = self.over.get_or_insert_with(|| {
            let mut phase = phase.clone();
            Box::pin(async move {
                // The sender goes away only with the whole service, which is the end too.
                drop(phase.wait_for(|phase| *phase >= last).await);
            })
        });
        over.as_mut().poll(context).map(|()| draining())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(timeout: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static(TIMEOUT),
            HeaderValue::from_str(timeout).unwrap(),
        )])
    }

    #[test]
    fn every_unit_is_read() {
        let nanoseconds = [
            ("0n", 0),
            ("1n", 1),
            ("20u", 20_000),
            ("99999999m", 99_999_999_000_000),
            ("7S", 7_000_000_000),
            ("2M", 120_000_000_000),
            ("1H", 3_600_000_000_000),
            ("00000001H", 3_600_000_000_000),
        ];
        for (text, expected) in nanoseconds {
            assert_eq!(parse(text).map(|d| d.as_nanos()), Some(expected), "{text}");
        }
        assert!(parse("99999999H").is_some());
    }

    #[tokio::test]
    async fn what_is_no_timeout_is_refused() {
        let wrong = [
            "",
            "S",
            "1",
            "1s",
            "-1S",
            "+1S",
            "1.5S",
            " 1S",
            "1 S",
            "123456789S",
            "1SS",
            "0x1S",
        ];
        for text in wrong {
            let fault = deadline(&headers(text), None).unwrap_err();
            assert_eq!(fault.reason(), "DEADLINE_INVALID", "{text:?}");
            assert_eq!(fault.code(), Code::InvalidArgument);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_shorter_of_what_is_asked_and_allowed_counts() {
        let second = Duration::from_secs(1);
        let now = Instant::now();
        let at = |timeout: &str, most| deadline(&headers(timeout), most).unwrap();
        assert_eq!(at("5S", Some(second)), Some(now + second));
        assert_eq!(at("5S", None), Some(now + 5 * second));
        assert_eq!(at("5m", Some(second)), Some(now + second / 200));
        assert_eq!(deadline(&HeaderMap::new(), None).unwrap(), None);
        let most = deadline(&HeaderMap::new(), Some(second)).unwrap();
        assert_eq!(most, Some(now + second));
    }
}
