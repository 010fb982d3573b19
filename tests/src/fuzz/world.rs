//! A service with something in its store, called as the transport calls it, without a network.

use std::{sync::Arc, time::Duration};

use almanac_proto::{forecast, ranking, ranking::v1::ranking_service_server::RankingServiceServer};
use almanac_service_kit::{
    import::Imports,
    limits::Limits,
    pool::{Pool, PoolSettings},
    slot::StoreSlot,
    store::{Store, StoreOptions},
};
use forecast_service::grpc::Desk;
use prost::bytes::{Buf as _, BufMut as _};
use tokio::runtime::{Builder, Runtime};
use tokio_stream::StreamExt as _;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    service::Routes,
};

use super::{
    samples,
    schema::Schema,
    stored::{Records, records},
};
use crate::Outcome;

/// No call of a target may take longer: it is dropped then, as a client would.
const LIMIT: Duration = Duration::from_secs(5);

/// A service, its shape and requests that it took.
pub(super) struct World {
    runtime: Runtime,
    pool: Pool,
    routes: Routes,
    /// Its messages and methods.
    pub(super) schema: Schema,
    /// Its error domain.
    pub(super) domain: &'static str,
    /// Methods and requests, each answered with OK.
    pub(super) samples: Vec<(&'static str, Vec<u8>)>,
    /// What its store held after them.
    pub(super) records: Records,
}

impl World {
    /// The ranking service.
    pub(super) fn ranking() -> Outcome<Self> {
        let routes = |slot| {
            let app = ranking_service::grpc::App::new(slot, 64 << 20);
            Routes::new(RankingServiceServer::new(app))
        };
        let schema = Schema::read(ranking::DESCRIPTORS)?;
        Self::new("ranking", schema, routes, samples::ranking())
    }

    /// The forecast service.
    pub(super) fn forecast() -> Outcome<Self> {
        let routes = |slot| {
            let (desk, imports) = (Desk::new(1 << 20), Imports::default());
            forecast_service::grpc::routes(slot, desk, imports, 4 << 20)
        };
        let schema = Schema::read(forecast::DESCRIPTORS)?;
        Self::new("forecast", schema, routes, samples::forecast())
    }

    fn new(
        name: &str,
        schema: Schema,
        routes: impl FnOnce(Arc<StoreSlot>) -> Routes,
        samples: Vec<(&'static str, Vec<u8>)>,
    ) -> Outcome<Self> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let slot = Arc::new(StoreSlot::default());
        // Gone from the file system at the end of this function; what is open stays readable, and
        // no target writes.
        let dir = tempfile::tempdir()?;
        slot.fill(Store::open(dir.path(), StoreOptions::default())?);
        let mut world = Self {
            runtime,
            pool: Pool::new(
                PoolSettings {
                    threads: 1,
                    queue: 4,
                    memory_bytes: 1 << 30,
                },
                Limits::default(),
            )?,
            routes: routes(Arc::clone(&slot)),
            domain: match name {
                "ranking" => ranking_service::error::DOMAIN,
                _ => forecast_service::error::DOMAIN,
            },
            schema,
            samples: Vec::new(),
            records: Records::default(),
        };
        for (method, request) in &samples {
            let answer = world.call(method, request.clone());
            answer.map_err(|status| format!("the sample of {method}: {status:?}"))?;
        }
        let store = slot.get().map_err(|fault| format!("{fault:?}"))?;
        world.records = records(name, &store.latest());
        world.samples = samples;
        Ok(world)
    }

    /// Calls a method with one request, or a stream of length-delimited ones, and answers what it
    /// answers, the last message of a stream.
    pub(super) fn call(&self, method: &str, request: Vec<u8>) -> Result<Vec<u8>, Status> {
        let path = format!("/{}/{method}", self.schema.service);
        let path =
            PathAndQuery::try_from(path).map_err(|error| Status::internal(error.to_string()))?;
        let mut client = Grpc::new(self.routes.clone());
        let call = async {
            client
                .ready()
                .await
                .map_err(|error| Status::internal(format!("{error:?}")))?;
            let streams = self
                .schema
                .methods
                .get(method)
                .is_some_and(|method| method.streams);
            if !streams {
                let answer = client.unary(Request::new(request), path, Raw).await?;
                return Ok(answer.into_inner());
            }
            let frames = tokio_stream::iter(frames(&request));
            let answers = client.streaming(Request::new(frames), path, Raw).await?;
            let mut answers = answers.into_inner();
            let mut last = Vec::new();
            while let Some(answer) = answers.next().await {
                last = answer?;
            }
            Ok(last)
        };
        let limited = async { tokio::time::timeout(LIMIT, call).await };
        let done = self.runtime.block_on(self.pool.clone().scope(limited));
        done.unwrap_or_else(|_| Err(Status::new(Code::DeadlineExceeded, "")))
    }
}

/// Length-delimited messages.
pub(super) fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Ok(length) = prost::decode_length_delimiter(&mut bytes) {
        let (frame, rest) = bytes.split_at(length.min(bytes.len()));
        frames.push(frame.to_vec());
        bytes = rest;
    }
    frames
}

/// Messages as the bytes they are.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; from.remaining()];
        from.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}
