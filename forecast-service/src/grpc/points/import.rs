//! ImportPoints.

use almanac_proto::forecast::v1::{self as pb, import_points_request as request};
use almanac_service_kit::{
    fault::Fault,
    import::{Answer, Frame, Import, Written},
    name,
    store::{Store, Transaction},
};
use pb::import_points_response as response;

use super::batch::{self, Checked};
use crate::{convert, error::DOMAIN, store::MarketView};

/// An import into a market.
#[derive(Debug)]
pub struct Points {
    store: Store,
    market: String,
}

impl Import for Points {
    type Request = pb::ImportPointsRequest;
    type Response = pb::ImportPointsResponse;
    type Row = pb::Point;
    type Checked = Checked;
    const METHOD: &'static str = "ImportPoints";
    const DOMAIN: &'static str = DOMAIN;
    const ROWS: &'static str = "points";

    fn frame(request: Self::Request) -> Option<Frame<Self::Row>> {
        Some(match request.frame? {
            request::Frame::Start(start) => Frame::Start(start),
            request::Frame::Chunk(chunk) => Frame::Chunk {
                sequence: chunk.sequence,
                rows: chunk.points,
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
        let [market] = name::parse("start.parent", parent, convert::MARKET)?;
        MarketView::load(&store.latest(), &market)?;
        let store = store.clone();
        Ok(Self { store, market })
    }

    fn check(&self, rows: Vec<Self::Row>) -> Result<Checked, Fault> {
        batch::check(&self.store.latest(), &self.market, rows)
    }

    fn write(&self, tx: &mut Transaction<'_>, checked: Checked) -> Result<Written, Fault> {
        batch::write(tx, &self.market, checked, None)
    }
}
