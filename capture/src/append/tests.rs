use std::sync::{Arc, Mutex};

use bytes::Bytes;
use wire::{Lineage, Lsn, ProblemKind, Slice, SourceName};

use super::{
    Pipeline, PipelineLimits, Relay, RelayError, Remedy,
    scripted::{Answer, Request, relay},
};

const BEGIN: u64 = 100;

fn slice(number: u64) -> Slice {
    let (after, through) = (BEGIN + number * 10, BEGIN + number * 10 + 10);
    let source = SourceName::new("s").unwrap();
    let lineage = Lineage::from_bytes([1; 16]);
    Slice::progress(source, lineage, Lsn::new(after), Lsn::new(through)).unwrap()
}

/// Takes slices in their order as a relay does; what is ahead of its turn is a gap.
#[derive(Default)]
struct Shelf {
    appended: u64,
    seen: Vec<String>,
}

impl Shelf {
    fn take(&mut self, request: &Request) -> Answer {
        self.seen.push(request.what.clone());
        if request.what == "objects" {
            let name = wire::Hash::of(&request.body);
            let answer = wire::UploadAnswer { name, len: request.body.len() as u64 };
            return Answer::Json(serde_json::to_string(&answer).unwrap());
        }
        let slice = Slice::decode(request.body.clone().into()).unwrap();
        let head = BEGIN + self.appended * 10;
        if slice.header().after.get() > head {
            return Answer::Problem(ProblemKind::Gap);
        }
        self.appended = self.appended.max((slice.header().through.get() - BEGIN) / 10);
        let durable = Lsn::new(BEGIN + self.appended * 10);
        Answer::Json(serde_json::to_string(&wire::AppendAnswer { durable }).unwrap())
    }
}

fn pipeline(relay: Arc<Relay>) -> Pipeline {
    Pipeline::new(relay, 1, Lsn::new(BEGIN), PipelineLimits::default())
}

async fn settled(pipeline: &mut Pipeline) -> Result<Lsn, RelayError> {
    let mut durable = Lsn::new(BEGIN);
    while !pipeline.is_empty() {
        durable = durable.max(pipeline.next().await?.unwrap_or(durable));
    }
    Ok(durable)
}

/// A relay that answers each request first as `faults` says, in turn, and then properly.
async fn faulty(faults: Vec<Answer>) -> (Arc<Relay>, Arc<Mutex<Shelf>>) {
    let shelf = Arc::new(Mutex::new(Shelf::default()));
    let shared = shelf.clone();
    let mut faults = faults.into_iter();
    let relay =
        relay(move |request| faults.next().unwrap_or_else(|| shared.lock().unwrap().take(request)));
    (relay.await, shelf)
}

#[tokio::test]
async fn slices_arrive_in_order_whatever_the_relay_does_at_first() {
    let faults = [
        vec![],
        vec![Answer::Hangup],
        vec![Answer::Html, Answer::Hangup],
        vec![Answer::Problem(ProblemKind::StorageFull), Answer::Problem(ProblemKind::Unavailable)],
        vec![Answer::Problem(ProblemKind::Malformed)],
    ];
    for faults in faults {
        let (relay, shelf) = faulty(faults.clone()).await;
        let mut pipeline = pipeline(relay);
        (0..5).for_each(|number| pipeline.slice(slice(number)));
        assert_eq!(pipeline.slices_under_way(), 5);
        assert_eq!(settled(&mut pipeline).await.unwrap(), Lsn::new(BEGIN + 50), "{faults:?}");
        assert_eq!(shelf.lock().unwrap().appended, 5);
        assert!(pipeline.trouble().is_none(), "{faults:?}");
    }
}

#[tokio::test]
async fn a_gap_is_waited_out_while_the_slice_before_is_being_tried() {
    // The first slice is refused for a while; the second, sent at the same time, is told of a gap.
    let full = || Answer::Problem(ProblemKind::StorageFull);
    let mut refusals = vec![full(), full(), full()];
    let shelf = Arc::new(Mutex::new(Shelf::default()));
    let shared = shelf.clone();
    let relay = relay(move |request| {
        let slice = Slice::decode(request.body.clone().into()).unwrap();
        match refusals.pop() {
            Some(refusal) if slice.header().after == Lsn::new(BEGIN) => refusal,
            other => {
                refusals.extend(other);
                shared.lock().unwrap().take(request)
            }
        }
    });
    let mut pipeline = pipeline(relay.await);
    (0..4).for_each(|number| pipeline.slice(slice(number)));
    assert_eq!(settled(&mut pipeline).await.unwrap(), Lsn::new(BEGIN + 40));
}

#[tokio::test]
async fn a_slice_waits_for_the_parts_before_it() {
    let (relay, shelf) = faulty(vec![]).await;
    let mut pipeline = pipeline(relay);
    pipeline.slice(slice(0));
    (0..5).for_each(|part| pipeline.part(Bytes::from(vec![part; 1000])));
    pipeline.slice(slice(1));
    settled(&mut pipeline).await.unwrap();
    let seen = shelf.lock().unwrap().seen.clone();
    assert_eq!(seen.iter().filter(|what| *what == "objects").count(), 5);
    assert_eq!(seen.last().unwrap(), "log");
}

/// What was sent is not yet durable; only the relay's answer says what is.
#[tokio::test]
async fn only_what_the_relay_names_is_durable() {
    let durable = Lsn::new(BEGIN + 5);
    let answer = serde_json::to_string(&wire::AppendAnswer { durable }).unwrap();
    let mut pipeline = pipeline(relay(move |_| Answer::Json(answer.clone())).await);
    pipeline.slice(slice(0));
    assert_eq!(pipeline.next().await.unwrap(), Some(durable));
}

#[tokio::test]
async fn what_another_attempt_would_not_change_is_given_back() {
    for (kind, remedy) in [
        (ProblemKind::Fenced, Remedy::Stop),
        (ProblemKind::Unauthorized, Remedy::Stop),
        (ProblemKind::Chain, Remedy::Reopen),
        (ProblemKind::Gap, Remedy::Reopen),
        (ProblemKind::UnknownSource, Remedy::Reopen),
    ] {
        let (relay, _) = faulty(vec![Answer::Problem(kind)]).await;
        let mut pipeline = pipeline(relay);
        pipeline.slice(slice(0));
        let error = settled(&mut pipeline).await.unwrap_err();
        assert_eq!((error.kind(), error.remedy()), (Some(kind), remedy));
    }
    let (relay, _) = faulty(vec![Answer::Problem(ProblemKind::Malformed); 3]).await;
    let mut pipeline = pipeline(relay);
    pipeline.slice(slice(0));
    assert_eq!(settled(&mut pipeline).await.unwrap_err().remedy(), Remedy::Reopen);
}

#[tokio::test]
async fn a_relay_that_takes_nothing_stops_the_reading_not_more() {
    let (relay, _) = faulty(vec![Answer::Problem(ProblemKind::StorageFull); 1000]).await;
    let limits = PipelineLimits { held_bytes: 10_000, ..PipelineLimits::default() };
    let mut pipeline = Pipeline::new(relay, 1, Lsn::new(BEGIN), limits);
    assert!(pipeline.has_room());
    (0..12).for_each(|part| pipeline.part(Bytes::from(vec![part; 1000])));
    assert!(!pipeline.has_room());
    let waited = tokio::time::timeout(std::time::Duration::from_millis(500), pipeline.next());
    assert!(waited.await.is_err(), "it goes on trying");
    assert!(pipeline.trouble().unwrap().what.contains("make room"));
}

/// What is sent off is no longer held back by the bound on what waits, so only so much is sent off.
#[tokio::test]
async fn slices_beyond_two_wait_and_count() {
    let (relay, _) = faulty(vec![]).await;
    let limits =
        PipelineLimits { held_bytes: 4 * slice(0).bytes().len(), ..PipelineLimits::default() };
    let mut pipeline = Pipeline::new(relay, 1, Lsn::new(BEGIN), limits);
    (0..5).for_each(|number| pipeline.slice(slice(number)));
    assert!(pipeline.has_room(), "two under way, three wait");
    pipeline.slice(slice(5));
    assert!(!pipeline.has_room());
    assert_eq!(settled(&mut pipeline).await.unwrap(), Lsn::new(BEGIN + 60));
    assert!(pipeline.has_room());
}

/// Read to its end it would be an answer.
#[tokio::test]
async fn an_answer_that_does_not_end_is_not_gathered() {
    let answer = serde_json::to_string(&wire::AppendAnswer { durable: Lsn::new(BEGIN) }).unwrap();
    let long = Answer::Json(" ".repeat(33 << 20) + &answer);
    let (relay, _) = faulty(vec![long, Answer::Json(answer)]).await;
    let error = relay.append(1, Bytes::new()).await.unwrap_err();
    assert!(matches!(error, RelayError::Answer { .. }), "{error}");
    assert_eq!(relay.append(1, Bytes::new()).await.unwrap().durable, Lsn::new(BEGIN));
}

#[tokio::test]
async fn errors_say_who_and_what_to_do() {
    let (html, _) = faulty(vec![Answer::Html]).await;
    let text = html.append(1, Bytes::new()).await.unwrap_err().to_string();
    assert!(text.contains("502") && text.contains("gateway") && text.contains("proxy"), "{text}");
    let (gone, _) = faulty(vec![Answer::Hangup]).await;
    let error = gone.append(1, Bytes::new()).await.unwrap_err();
    assert_eq!(error.remedy(), Remedy::Again);
    assert!(error.to_string().contains("http://127.0.0.1:"), "{error}");
}
