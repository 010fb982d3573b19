//! Loads rows through the services' imports: a window of chunks on their way, and a stream that was
//! cut is gone on with.

use std::future::Future;

use almanac_proto::{
    common::v1::{ImportAck, ImportFinish, ImportRowError, ImportStart, ImportSummary, OnError},
    forecast::v1::{self as forecast, forecast_service_client::ForecastServiceClient},
    ranking::v1::{self as ranking, ranking_service_client::RankingServiceClient},
};
use almanac_service_kit::import::{Answer, Frame, MAX_ROWS, WINDOW};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};

/// How many streams in a row may end before they got any further.
const PATIENCE: usize = 3;

/// A client that can import rows.
pub trait Importer: Send {
    /// What it imports.
    type Row: Clone + Send + Sync + 'static;
    /// A frame on the wire.
    type Request: Send + 'static;
    /// An answer on the wire.
    type Response: Send + 'static;

    /// A frame on the wire.
    fn request(frame: Frame<Self::Row>) -> Self::Request;

    /// What an answer is.
    fn answer(response: Self::Response) -> Option<Answer>;

    /// Opens a stream.
    fn open(
        &mut self,
        frames: ReceiverStream<Self::Request>,
    ) -> impl Future<Output = Result<Streaming<Self::Response>, Status>> + Send;
}

macro_rules! importer {
    ($client:ty, $row:ty, $package:ident, $request:ident, $response:ident, $chunk:ident,
     $rows:ident, $request_frame:ident, $response_frame:ident, $method:ident) => {
        impl Importer for $client {
            type Row = $row;
            type Request = $package::$request;
            type Response = $package::$response;

            fn request(frame: Frame<Self::Row>) -> Self::Request {
                use $package::$request_frame::Frame as Wire;
                let frame = match frame {
                    Frame::Start(start) => Wire::Start(start),
                    Frame::Chunk { sequence, rows } => Wire::Chunk($package::$chunk {
                        sequence,
                        $rows: rows,
                    }),
                    Frame::Finish(finish) => Wire::Finish(finish),
                };
                Self::Request { frame: Some(frame) }
            }

            fn answer(response: Self::Response) -> Option<Answer> {
                use $package::$response_frame::Frame as Wire;
                Some(match response.frame? {
                    Wire::Resume(resume) => Answer::Resume(resume),
                    Wire::Ack(ack) => Answer::Ack(ack),
                    Wire::Summary(summary) => Answer::Summary(summary),
                })
            }

            async fn open(
                &mut self,
                frames: ReceiverStream<Self::Request>,
            ) -> Result<Streaming<Self::Response>, Status> {
                Ok(self.$method(frames).await?.into_inner())
            }
        }
    };
}

importer!(
    RankingServiceClient<Channel>,
    ranking::Observation,
    ranking,
    ImportObservationsRequest,
    ImportObservationsResponse,
    ImportChunk,
    observations,
    import_observations_request,
    import_observations_response,
    import_observations
);
importer!(
    ForecastServiceClient<Channel>,
    forecast::Point,
    forecast,
    ImportPointsRequest,
    ImportPointsResponse,
    ImportChunk,
    points,
    import_points_request,
    import_points_response,
    import_points
);

/// One stream of an import, frame by frame.
#[derive(Debug)]
pub struct ImportStream<C: Importer> {
    frames: mpsc::Sender<C::Request>,
    answers: Streaming<C::Response>,
}

impl<C: Importer> ImportStream<C> {
    /// Opens a stream with room for a window of chunks and the frames around it.
    ///
    /// # Errors
    /// The status of the call.
    pub async fn open(client: &mut C) -> Result<Self, Status> {
        let (frames, sent) = mpsc::channel(WINDOW + 2);
        let answers = client.open(ReceiverStream::new(sent)).await?;
        Ok(Self { frames, answers })
    }

    /// Sends a frame, waiting for room. Says whether the server still listens; if not, the next
    /// answer says why.
    pub async fn send(&self, frame: Frame<C::Row>) -> bool {
        self.frames.send(C::request(frame)).await.is_ok()
    }

    /// A handle that sends frames, for another task than the one that reads the answers.
    #[must_use]
    pub fn sender(&self) -> mpsc::Sender<C::Request> {
        self.frames.clone()
    }

    /// Sends nothing more; answers can still be read.
    #[must_use]
    pub fn half_close(self) -> Streaming<C::Response> {
        self.answers
    }

    /// The next answer; none at the end.
    ///
    /// # Errors
    /// The status that ended the stream.
    pub async fn next(&mut self) -> Result<Option<Answer>, Status> {
        let Some(response) = self.answers.message().await? else {
            return Ok(None);
        };
        let unknown = || Status::unknown("an answer without a member that is known here");
        C::answer(response).map(Some).ok_or_else(unknown)
    }
}

/// Rows on their way into a service.
#[derive(Debug)]
pub struct Loader<'a, R> {
    start: ImportStart,
    rows: &'a [R],
    chunk_rows: usize,
    rejected: Vec<ImportRowError>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What the service says.
    pub summary: ImportSummary,
    /// Rows that were not taken, by their place among all rows; only under REJECT_ROW.
    pub rejected: Vec<ImportRowError>,
}

impl<'a, R: Clone + Send + Sync + 'static> Loader<'a, R> {
    /// Loads `rows` into `parent` under a new import ID; a bad row ends it.
    #[must_use]
    pub fn new(parent: &str, rows: &'a [R]) -> Self {
        let start = ImportStart {
            parent: parent.to_owned(),
            import_id: uuid::Uuid::new_v4().to_string(),
            on_error: OnError::Stop.into(),
            validate_only: false,
        };
        Self {
            start,
            rows,
            chunk_rows: MAX_ROWS,
            rejected: Vec::new(),
        }
    }

    /// Under an import ID of its own: loading the same again takes effect once.
    #[must_use]
    pub fn import_id(mut self, import_id: String) -> Self {
        self.start.import_id = import_id;
        self
    }

    /// With so many rows a chunk instead of as many as are allowed.
    #[must_use]
    pub fn chunk_rows(mut self, chunk_rows: usize) -> Self {
        self.chunk_rows = chunk_rows.clamp(1, MAX_ROWS);
        self
    }

    /// Leaves out bad rows instead of ending at the first.
    #[must_use]
    pub fn reject_rows(mut self) -> Self {
        self.start.on_error = OnError::RejectRow.into();
        self
    }

    /// Loads all rows; goes on with a new stream where one is cut.
    ///
    /// # Errors
    /// The status of a stream that was refused, or of the third in a row that got no further.
    pub async fn load<C: Importer<Row = R>>(
        mut self,
        client: &mut C,
        mut progress: impl FnMut(&ImportAck),
    ) -> Result<Loaded, Status> {
        let mut idle = 0;
        loop {
            let mut further = false;
            let stream = self.stream(client, |ack| {
                further = true;
                progress(ack);
            });
            let status = match stream.await {
                Ok(summary) => {
                    let rejected = self.rejected;
                    return Ok(Loaded { summary, rejected });
                }
                Err(status) => status,
            };
            idle = if further { 0 } else { idle + 1 };
            if status.code() != Code::Unavailable || idle == PATIENCE {
                return Err(status);
            }
        }
    }

    /// One stream, from where the import is to its end or a cut.
    ///
    /// # Errors
    /// The status that ended the stream; another stream can go on unless it was refused.
    pub async fn stream<C: Importer<Row = R>>(
        &mut self,
        client: &mut C,
        mut progress: impl FnMut(&ImportAck),
    ) -> Result<ImportSummary, Status> {
        let mut stream = ImportStream::open(client).await?;
        stream.send(Frame::Start(self.start.clone())).await;
        let chunks = self.rows.chunks(self.chunk_rows);
        let total = i64::try_from(chunks.len()).unwrap_or(i64::MAX);
        let (mut sent, mut durable) = match stream.next().await? {
            Some(Answer::Resume(resume)) => (resume.next_sequence - 1, resume.next_sequence - 1),
            other => return Err(Status::unknown(format!("no resume but {other:?}"))),
        };
        let mut left = chunks.skip(usize::try_from(sent).unwrap_or(usize::MAX));
        let mut finished = false;
        loop {
            while sent - durable < WINDOW as i64
                && let Some(rows) = left.next()
            {
                sent += 1;
                let (sequence, rows) = (sent, rows.to_vec());
                stream.send(Frame::Chunk { sequence, rows }).await;
            }
            if durable >= total && !finished {
                finished = true;
                let total_chunks = total;
                stream
                    .send(Frame::Finish(ImportFinish { total_chunks }))
                    .await;
            }
            match stream.next().await? {
                Some(Answer::Ack(ack)) => {
                    durable = ack.sequence;
                    self.note(&ack);
                    progress(&ack);
                }
                Some(Answer::Summary(summary)) => return Ok(summary),
                other => return Err(Status::unknown(format!("no ack but {other:?}"))),
            }
        }
    }

    /// Keeps the row errors of a chunk by their place among all rows.
    fn note(&mut self, ack: &ImportAck) {
        let before = usize::try_from(ack.sequence - 1).unwrap_or_default() * self.chunk_rows;
        let errors = ack.row_errors.iter().cloned().map(|mut error| {
            error.row += i32::try_from(before).unwrap_or(i32::MAX - error.row);
            error
        });
        self.rejected.extend(errors);
    }
}
