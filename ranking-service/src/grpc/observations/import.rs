//! ImportObservations.

use almanac_proto::ranking::v1::{self as pb, import_observations_request as request};
use almanac_service_kit::{
    fault::Fault,
    import::{Answer, Frame, Import, Written},
    name,
    plain::control::Control,
    store::{Store, Transaction},
};
use pb::import_observations_response as response;

use super::batch::{self, Checked};
use crate::{error::DOMAIN, grpc::datasets::dataset_uid};

/// An import into a dataset.
#[derive(Debug)]
pub struct Observations {
    dataset: String,
}

impl Import for Observations {
    type Request = pb::ImportObservationsRequest;
    type Response = pb::ImportObservationsResponse;
    type Row = pb::Observation;
    type Checked = Checked;
    const METHOD: &'static str = "ImportObservations";
    const DOMAIN: &'static str = DOMAIN;
    const ROWS: &'static str = "observations";

    fn frame(request: Self::Request) -> Option<Frame<Self::Row>> {
        Some(match request.frame? {
            request::Frame::Start(start) => Frame::Start(start),
            request::Frame::Chunk(chunk) => Frame::Chunk {
                sequence: chunk.sequence,
                rows: chunk.observations,
            },
            request::Frame::Finish(finish) => Frame::Finish(finish),
        })
    }

    fn response(answer: Answer) -> Self::Response {
        let frame = match answer {
            Answer::Resume(resume) => response::Frame::Resume(resume),
            Answer::Ack(ack) => response::Frame::Ack(ack),
            Answer::Summary(summary) => response::Frame::Summary(summary),
        };
        Self::Response { frame: Some(frame) }
    }

    fn open(store: &Store, parent: &str) -> Result<Self, Fault> {
        let [dataset] = name::parse("start.parent", parent, ["datasets"])?;
        dataset_uid(&store.latest(), &dataset)?;
        Ok(Self { dataset })
    }

    fn check(&self, rows: Vec<Self::Row>, control: &dyn Control) -> Result<Checked, Fault> {
        Ok(batch::check(&rows, &self.dataset, control)?)
    }

    fn write(&self, tx: &mut Transaction<'_>, checked: Checked) -> Result<Written, Fault> {
        batch::write(tx, &self.dataset, checked, None)
    }
}
