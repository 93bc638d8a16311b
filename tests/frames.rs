//! Frames and the codec, from the outside: every message survives the way, and no bytes can do harm.

// Helpers of a test may fail by panic, as the tests do.
#![allow(clippy::unwrap_used)]

use mainstay::ipc::control::{Event, Head, LastExit, Refusal, Reply, Request, Service, Verb, What};
use mainstay::ipc::frame::{self, Broken, Form, HEADER, Inbox, MAGIC, VERSION};
use mainstay::time::Wall;
use proptest::prelude::*;

fn request() -> impl Strategy<Value = Request> {
    let verb = prop_oneof![Just(Verb::Start), Just(Verb::Stop), Just(Verb::Restart), Just(Verb::Kill)];
    prop_oneof![
        any::<bool>().prop_map(|all| Request::Status { all }),
        Just(Request::Cursor),
        (any::<u64>(), any::<bool>()).prop_map(|(after, follow)| Request::Events { after, follow }),
        (verb, prop::collection::vec(".{0,40}", 0..8), any::<i32>(), any::<u32>(), any::<bool>()).prop_map(
            |(verb, targets, signal, pid, dry_run)| Request::Act { verb, targets, signal, pid, dry_run }
        ),
        Just(Request::Shutdown),
    ]
}

fn last_exit() -> impl Strategy<Value = LastExit> {
    (any::<Option<u8>>(), any::<Option<i32>>(), any::<bool>(), ".{0,60}", any::<u64>(), any::<i64>())
        .prop_map(|(code, signal, core, error, nanos, time)| LastExit {
            code,
            signal,
            core,
            error,
            lived_ns: nanos,
            ago_ns: nanos / 2,
            time: Wall(time),
            crash: nanos / 3,
            asked: !core,
            oom: core,
        })
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        Just(What::Waiting),
        (any::<u32>(), ".{0,60}").prop_map(|(pid, command)| What::Starting { pid, command }),
        (any::<u64>(), ".{0,20}", any::<u64>(), ".{0,20}")
            .prop_map(|(after_ns, how, away_ns, info)| { What::Ready { after_ns, how, away_ns, info } }),
        (any::<Option<u8>>(), prop::option::of("SIG[A-Z]{2,5}"), any::<bool>(), any::<u64>()).prop_map(
            |(code, signal, core, lived_ns)| What::Exited {
                code,
                signal,
                core,
                lived_ns,
                asked: core,
                abnormal: !core,
                crash: lived_ns,
                pid: 7,
                restart: 0,
                max: 0,
                shutdown_error: false,
                oom: core,
                watchdog: !core,
                unhealthy: false,
            }
        ),
        (any::<u32>(), any::<u64>()).prop_map(|(max, within_ns)| What::GaveUp { max, within_ns }),
        ".{0,80}".prop_map(|message| What::Warning { message }),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        (".{0,40}", ".{0,80}", any::<u32>(), any::<u64>()).prop_map(|(project, config, pid, n)| Reply::Head(
            Head {
                project,
                config,
                pid,
                up_ns: n,
                restarts_hour: 1,
                shutting_down: false,
                crashes_unwritten: 0,
                cursor: n
            }
        )),
        (".{0,40}", any::<u32>(), any::<u64>(), prop::option::of(last_exit())).prop_map(
            |(service, pid, n, last_exit)| Reply::Service(Service {
                instance: format!("{service}#2"),
                service,
                pid,
                incarnation: n,
                up_ns: n,
                last_exit,
                ..Service::default()
            })
        ),
        (any::<u64>(), any::<i64>(), ".{0,40}", what()).prop_map(|(seq, time, service, what)| Reply::Event(
            Event {
                seq,
                time: Wall(time),
                mono_ns: seq,
                instance: service.clone(),
                service,
                incarnation: seq,
                what
            }
        )),
        any::<u64>().prop_map(|count| Reply::Missed { count }),
        any::<u64>().prop_map(|cursor| Reply::Done { cursor }),
        (any::<u8>(), ".{0,80}", ".{0,80}").prop_map(|(code, message, hint)| Reply::Refused(Refusal {
            code,
            message,
            hint
        })),
    ]
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![Just(Form::Binary), Just(Form::Json)]
}

/// Cuts `bytes` into pieces whose lengths come from `cuts`, again and again.
fn pieces<'a>(mut bytes: &'a [u8], cuts: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut cuts = cuts.iter().cycle();
    std::iter::from_fn(move || {
        let (piece, rest) = bytes.split_at((*cuts.next()?).min(bytes.len()));
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

proptest! {
    #[test]
    fn every_request_survives_the_way(message in request(), form in form()) {
        let mut inbox = Inbox::default();
        inbox.push(&frame::encode(form, &message).unwrap());
        prop_assert_eq!(inbox.take::<Request>(), Ok(Some(message)));
        prop_assert_eq!(inbox.form(), form);
        prop_assert!(!inbox.has_part());
    }

    #[test]
    fn a_stream_of_replies_arrives_in_order_however_it_is_cut(
        messages in prop::collection::vec(reply(), 1..12),
        form in form(),
        cuts in prop::collection::vec(1_usize..200, 1..6),
    ) {
        let mut bytes = Vec::new();
        for message in &messages {
            frame::append(form, message, &mut bytes).unwrap();
        }
        let (mut inbox, mut seen) = (Inbox::default(), Vec::new());
        for piece in pieces(&bytes, &cuts) {
            inbox.push(piece);
            while let Some(message) = inbox.take::<Reply>().unwrap() {
                seen.push(message);
            }
        }
        prop_assert_eq!(seen, messages);
        prop_assert_eq!(inbox.take_last::<Reply>(), Ok(None));
    }

    #[test]
    fn dripping_one_byte_at_a_time_changes_nothing(message in reply(), form in form()) {
        let bytes = frame::encode(form, &message).unwrap();
        let mut inbox = Inbox::default();
        let (last, rest) = bytes.split_last().unwrap();
        for byte in rest {
            inbox.push(&[*byte]);
            prop_assert_eq!(inbox.take::<Reply>(), Ok(None));
        }
        inbox.push(&[*last]);
        prop_assert_eq!(inbox.take::<Reply>(), Ok(Some(message)));
    }

    #[test]
    fn one_wrong_byte_gives_a_message_or_an_error_and_never_a_panic(
        message in reply(),
        form in form(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = frame::encode(form, &message).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let mut inbox = Inbox::default();
        inbox.push(&bytes);
        let _ = inbox.take::<Reply>();
        let _ = inbox.take_last::<Reply>();
    }
}

/// A small generator of its own: the point is the number of frames, not their distribution.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

#[test]
fn a_million_random_frames_do_no_harm() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut messages, mut errors, mut partial) = (0_u32, 0_u32, 0_u32);
    let mut bytes = [0; HEADER + 96];
    for round in 0..1_000_000_u32 {
        random.fill(&mut bytes);
        let mut length = HEADER + (random.next() % 97) as usize;
        // Random bytes rarely pass the header, so most rounds get a sound one, and many a sound tag.
        match round % 4 {
            0 => {}
            1 => bytes[0] = b'{',
            _ => {
                bytes[..4].copy_from_slice(&[MAGIC, VERSION, 0, 0]);
                bytes[4..8].copy_from_slice(&((length - HEADER) as u32).to_le_bytes());
                bytes[8..12].copy_from_slice(&((random.next() % 6) as u32).to_le_bytes());
                length = length.max(HEADER);
            }
        }
        let mut inbox = Inbox::default();
        inbox.push(&bytes[..length]);
        match inbox.take::<Request>() {
            Ok(Some(_)) => messages += 1,
            Ok(None) => partial += 1,
            Err(_) => errors += 1,
        }
    }
    // All three ways were gone, or the test tests nothing.
    assert!(messages > 1000 && errors > 1000 && partial > 1000, "{messages} {errors} {partial}");
}

#[test]
fn a_list_that_promises_more_than_its_frame_is_refused_at_once() {
    // Act { verb: Start, targets: 2^60 strings }.
    let mut body = vec![3, 0, 0, 0, 0, 0, 0, 0];
    body.extend_from_slice(&(1_u64 << 60).to_le_bytes());
    let mut bytes = vec![MAGIC, VERSION, 0, 0];
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&body);
    let mut inbox = Inbox::default();
    inbox.push(&bytes);
    assert!(matches!(inbox.take::<Request>(), Err(Broken::Codec(_))));
}

#[test]
fn json_that_nests_for_ever_is_an_error() {
    let mut inbox = Inbox::default();
    let mut line = b"{\"request\":".to_vec();
    line.extend(std::iter::repeat_n(b'[', 60_000));
    line.push(b'\n');
    inbox.push(&line);
    assert!(matches!(inbox.take::<Request>(), Err(Broken::Json(_))));
}
