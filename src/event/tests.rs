use super::*;

fn heartbeat() -> EventPayload {
    EventPayload::ServerHeartbeat {}
}

fn limits(events: usize) -> RingLimits {
    RingLimits {
        events,
        bytes: 1 << 20,
    }
}

#[test]
fn an_event_is_rendered_as_opencode_does() {
    let json: serde_json::Value = serde_json::from_str(&render(&heartbeat())).expect("JSON");
    assert_eq!(json["type"], "server.heartbeat");
    assert_eq!(json["properties"], serde_json::json!({}));
    assert!(json["id"].as_str().is_some_and(|id| id.starts_with("evt_")));
}

#[test]
fn a_bus_knows_whether_anybody_reads() {
    let bus = Bus::new(limits(1));
    assert!(!bus.is_attended());
    let attendance = bus.attend();
    assert!(bus.is_attended());
    drop(attendance);
    assert!(!bus.is_attended());
}

#[test]
fn a_bus_knows_how_far_its_slowest_stream_is_behind() {
    let bus = Arc::new(Bus::new(limits(2)));
    assert_eq!((bus.load().subscribers, bus.load().lag), (0, 0));
    let start = bus.subscribe(None).cursor();
    let (slow, fast) = (bus.follow(start, None), bus.follow(start, None));
    bus.publish(&"/p".into(), &[heartbeat(), heartbeat(), heartbeat()]);
    fast.has_read(start + 3);
    let load = bus.load();
    // More than the ring holds: they are lost for it.
    assert_eq!((load.events, load.subscribers, load.lag), (2, 2, 3));
    assert!(load.bytes > 0 && bus.is_attended());
    slow.has_read(start + 2);
    assert_eq!(bus.load().lag, 1);
    drop(slow);
    assert_eq!((bus.load().subscribers, bus.load().lag), (1, 0));
    drop(fast);
    assert!(!bus.is_attended());
}

#[tokio::test]
async fn every_subscriber_reads_every_event_once_and_in_order() {
    let bus = Bus::new(limits(100));
    let here: Arc<str> = "/p".into();
    let mut first = bus.subscribe(None);
    bus.publish(&here, &[heartbeat(), heartbeat()]);
    let mut second = bus.subscribe(Some(first.cursor()));
    bus.publish(&here, &[heartbeat()]);
    for subscription in [&mut first, &mut second] {
        let start = subscription.cursor();
        for n in 1..=3 {
            let Next::Event(event) = subscription.next().await else {
                panic!("gap")
            };
            assert_eq!(event.sequence, start + n);
        }
        assert!(subscription.try_next().is_none());
    }
}

#[tokio::test]
async fn a_late_subscriber_is_told_what_it_missed() {
    let bus = Bus::new(limits(2));
    let here: Arc<str> = "/p".into();
    let mut late = bus.subscribe(None);
    let start = late.cursor();
    bus.publish(&here, &[heartbeat(), heartbeat(), heartbeat(), heartbeat()]);
    let Next::Gap(gap) = late.next().await else {
        panic!("no gap")
    };
    assert_eq!(
        gap,
        Resync {
            last_event_id: start,
            oldest_event_id: start + 3
        }
    );
    let Next::Event(event) = late.next().await else {
        panic!("second gap")
    };
    assert_eq!(event.sequence, start + 3);
}

#[tokio::test]
async fn the_ring_keeps_within_its_bytes() {
    let bus = Bus::new(RingLimits {
        events: 1000,
        bytes: 500,
    });
    let here: Arc<str> = "/p".into();
    for _ in 0..100 {
        bus.publish(&here, &[heartbeat()]);
    }
    assert!(bus.ring().bytes <= 500);
    // A number from the future does not panic or replay anything.
    assert!(bus.subscribe(Some(u64::MAX)).try_next().is_none());
}

#[tokio::test]
async fn a_reader_of_a_directory_is_woken_for_that_alone_and_loses_nothing_else() {
    let bus = Arc::new(Bus::new(limits(3)));
    let start = bus.subscribe(None).cursor();
    let reader = bus.follow(start, Some("/p"));
    let (here, there) = ("/p".into(), "/q".into());
    let mut subscription = reader.subscribe();
    for _ in 0..5 {
        bus.publish(&there, &[heartbeat()]);
    }
    // Nothing of it was lost, although the ring has moved on.
    assert!(!subscription.head.has_changed().expect("a bus"));
    assert_eq!(bus.load().lag, 0);
    assert_eq!(subscription.pass_over(), start + 5);
    bus.publish(&here, &[heartbeat()]);
    bus.publish(&"".into(), &[heartbeat()]);
    assert_eq!(bus.load().lag, 7);
    for n in [6, 7] {
        let Next::Event(event) = subscription.next().await else {
            panic!("gap")
        };
        assert_eq!(event.sequence, start + n);
    }
    assert!(subscription.try_next().is_none());
    // One that reads from further back has lost one of both.
    for _ in 0..3 {
        bus.publish(&there, &[heartbeat()]);
    }
    let Some(Next::Gap(gap)) = reader.subscribe().try_next() else {
        panic!("no gap")
    };
    assert_eq!((gap.last_event_id, gap.oldest_event_id), (start, start + 8));
    drop(reader);
    assert!(bus.ring().places.is_empty());
}

#[tokio::test]
async fn what_is_stored_keeps_its_number_and_a_reader_may_be_ahead() {
    let bus = Arc::new(Bus::new(limits(3)));
    bus.starts_behind(7);
    let stored = |seq: u64| bus.publish_stored(seq, "/a", format!("{{\"n\":{seq}}}"), true);
    (8..=9).for_each(stored);
    // Told twice, and in between what is not stored.
    stored(9);
    bus.publish(&"/a".into(), &[heartbeat()]);
    stored(10);
    let number = |seq: u64| seq * SEQUENCES_PER_STORED;
    let read = |after: u64, reads: usize| {
        let mut subscription = bus.subscribe(Some(after));
        let next = move || subscription.try_next();
        let read: Vec<_> = std::iter::from_fn(next).take(reads).collect();
        read.iter()
            .map(|next| match next {
                Next::Event(event) => event.sequence,
                Next::Gap(_) => 0,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(read(number(8), 9), [number(9), number(9) + 1, number(10)]);
    assert_eq!(
        read(number(7), 9),
        [0, number(9), number(9) + 1, number(10)]
    );
    // It comes from a server that has told more already.
    let mut ahead = bus.subscribe(Some(number(12)));
    assert!(ahead.try_next().is_none());
    (11..=13).for_each(stored);
    match ahead.try_next() {
        Some(Next::Event(event)) => assert_eq!(event.sequence, number(13)),
        other => panic!("{other:?}"),
    }
}
