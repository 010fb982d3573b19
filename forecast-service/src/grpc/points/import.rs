//! ImportPoints.

use std::sync::{Arc, Mutex, PoisonError};

use almanac_proto::forecast::v1::{self as pb, import_points_request as request};
use almanac_service_kit::{
    fault::Fault,
    import::{Answer, Frame, Import, Written},
    name,
    plain::control::Control,
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
    /// The market as rows were last checked against it: a large one takes longer to load than a
    /// chunk to check.
    loaded: Mutex<Option<Arc<MarketView>>>,
}

impl Points {
    /// The market as it is now.
    fn market(&self, control: &dyn Control) -> Result<Arc<MarketView>, Fault> {
        let read = self.store.latest();
        let now = MarketView::written_at(&read, &self.market)?;
        // Whoever else checks a chunk waits for the load instead of making its own.
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(market) = loaded.as_ref().filter(|market| market.revision >= now) {
            return Ok(Arc::clone(market));
        }
        let market = Arc::new(MarketView::load(&read, &self.market, control)?);
        *loaded = Some(Arc::clone(&market));
        Ok(market)
    }
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
        MarketView::written_at(&store.latest(), &market)?;
        let (store, loaded) = (store.clone(), Mutex::default());
        Ok(Self {
            store,
            market,
            loaded,
        })
    }

    fn check(&self, rows: Vec<Self::Row>, control: &dyn Control) -> Result<Checked, Fault> {
        Ok(batch::check(&*self.market(control)?, rows, control)?)
    }

    fn write(&self, tx: &mut Transaction<'_>, checked: Checked) -> Result<Written, Fault> {
        batch::write(tx, &self.market, checked, None)
    }
}
