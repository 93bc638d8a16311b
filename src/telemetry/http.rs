//! The exporter's side of OTLP over HTTP/1.1, as data: what is sent, what an answer means, when to try again.
//!
//! Each line is sent over a connection of its own (`Connection: close`): a batch comes once a second at most, and there is
//! no idle connection whose end is found out too late. `httparse` reads heads and the sizes of chunks.

use super::Endpoint;
use crate::time::Duration;

/// More of an answer is not read.
pub const ANSWER_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 64;
/// So much of an answer that refuses is told.
const TOLD: usize = 120;
/// The first wait before another try; then doubled.
const FIRST: Duration = Duration::from_millis(500);
/// The longest.
const LONGEST: Duration = Duration::from_secs(30);
/// A collector may ask for a longer one, up to this.
const ASKED_MAX: Duration = Duration::from_secs(600);

/// What a line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Events.
    Logs,
}

impl Signal {
    /// What a line of our file holds; `None`: it is none.
    pub fn of(line: &[u8]) -> Option<Signal> {
        if line.starts_with(b"{\"resourceSpans\":") {
            Some(Signal::Traces)
        } else if line.starts_with(b"{\"resourceLogs\":") {
            Some(Signal::Logs)
        } else {
            None
        }
    }

    fn path(self) -> &'static str {
        match self {
            Signal::Traces => "/v1/traces",
            Signal::Logs => "/v1/logs",
        }
    }
}

/// A whole request with this line as its body.
pub fn request(endpoint: &Endpoint, signal: Signal, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {}{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: mainstay/{}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        endpoint.base,
        signal.path(),
        endpoint.host,
        env!("CARGO_PKG_VERSION"),
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The collector has it, but for so many records that it rejected.
    Done {
        /// Spans or log records.
        rejected: u64,
    },
    /// It is to be sent again, after so long if the collector said that.
    Again {
        /// Why, in words.
        why: String,
        /// `Retry-After`, at most ten minutes.
        after: Option<Duration>,
    },
    /// The collector does not want it, now or ever.
    Refused {
        /// Why, in words.
        why: String,
    },
}

/// What these bytes say, which were answered so far; `None`: the answer is not complete. `ended`: nothing more will come.
/// `now` is in seconds since the Unix epoch, for answers that name a date.
pub fn outcome(bytes: &[u8], ended: bool, now: i64) -> Option<Outcome> {
    let ended = ended || bytes.len() >= ANSWER_MAX;
    let again = |why: &str| Some(Outcome::Again { why: why.to_owned(), after: None });
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if !ended => return None,
        Ok(httparse::Status::Partial) if bytes.is_empty() => {
            return again("it closed the connection without an answer");
        }
        Ok(httparse::Status::Partial) => return again("its answer ends early"),
        Err(error) => return again(&format!("its answer is no HTTP: {error}")),
    };
    let status = head.code.unwrap_or(0);
    let header = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
    };
    let body = body(&bytes[length..], header("transfer-encoding"), header("content-length"), ended);
    match status {
        // An interim answer: the real one follows.
        100..=199 => outcome(&bytes[length..], ended, now),
        200..=299 => match body {
            Body::Partial => None,
            Body::Broken => again("its answer ends early"),
            Body::Whole(body) => Some(Outcome::Done { rejected: rejected(&body) }),
        },
        429 | 502 | 503 | 504 => Some(Outcome::Again {
            why: format!("it answers {status}"),
            after: header("retry-after").and_then(|text| retry_after(text, now)),
        }),
        _ => match body {
            Body::Partial => None,
            Body::Broken => Some(Outcome::Refused { why: format!("it answers {status}") }),
            Body::Whole(body) => {
                let said: String = String::from_utf8_lossy(&body)
                    .chars()
                    .map(|c| if c.is_control() { ' ' } else { c })
                    .take(TOLD)
                    .collect();
                let said = said.trim();
                let why = if said.is_empty() { String::new() } else { format!(": {said}") };
                Some(Outcome::Refused { why: format!("it answers {status}{why}") })
            }
        },
    }
}

enum Body {
    Partial,
    Whole(Vec<u8>),
    Broken,
}

fn body(bytes: &[u8], encoding: Option<&str>, length: Option<&str>, ended: bool) -> Body {
    let unfinished = if ended { Body::Broken } else { Body::Partial };
    if encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case("chunked")) {
        return chunks(bytes, unfinished);
    }
    match length.map(str::parse::<usize>) {
        Some(Ok(length)) if bytes.len() >= length => Body::Whole(bytes[..length].to_vec()),
        // Longer than we read: it cannot matter.
        Some(Ok(_)) => unfinished,
        Some(Err(_)) => Body::Broken,
        None if ended => Body::Whole(bytes.to_vec()),
        None => Body::Partial,
    }
}

fn chunks(mut bytes: &[u8], unfinished: Body) -> Body {
    let mut whole = Vec::new();
    loop {
        let (at, size) = match httparse::parse_chunk_size(bytes) {
            Ok(httparse::Status::Complete((_, 0))) => return Body::Whole(whole),
            Ok(httparse::Status::Complete((at, size))) => (at, size),
            Ok(httparse::Status::Partial) => return unfinished,
            Err(_) => return Body::Broken,
        };
        let Some(end) = usize::try_from(size).ok().and_then(|size| at.checked_add(size)) else {
            return Body::Broken;
        };
        match bytes.get(at..end) {
            Some(chunk) => whole.extend_from_slice(chunk),
            None => return unfinished,
        }
        // A line end closes each chunk.
        bytes = bytes.get(end + 2..).unwrap_or_default();
    }
}

/// `{"partialSuccess":{"rejectedSpans":"3"}}`; any other body rejects nothing.
fn rejected(body: &[u8]) -> u64 {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) else { return 0 };
    let of = |key: &str| {
        let number = json.get("partialSuccess")?.get(key)?;
        number.as_u64().or_else(|| number.as_str()?.parse().ok())
    };
    of("rejectedSpans").or_else(|| of("rejectedLogRecords")).unwrap_or(0)
}

/// Seconds, or a date.
fn retry_after(text: &str, now: i64) -> Option<Duration> {
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            u64::try_from(at.as_second().saturating_sub(now)).unwrap_or(0)
        }
    };
    Some(Duration::from_secs(seconds).min(ASKED_MAX))
}

/// How long to wait after so many tries that failed in a row, at least 1: doubling from half a second to half a minute,
/// less a part of it chosen by `dice`, so that many exporters do not come at once.
pub fn backoff(failed: u32, dice: u64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failed.saturating_sub(1).min(10)).min(LONGEST);
    doubled - doubled.mul_f64((dice % 1024) as f64 / 1024.0 / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_700_000_000;

    fn check(answer: &str, expected: Option<Outcome>) {
        assert_eq!(outcome(answer.as_bytes(), false, NOW), expected, "{answer}");
    }

    fn again(why: &str, after: Option<u64>) -> Option<Outcome> {
        Some(Outcome::Again { why: why.into(), after: after.map(Duration::from_secs) })
    }

    fn refused(why: &str) -> Option<Outcome> {
        Some(Outcome::Refused { why: why.into() })
    }

    #[test]
    fn a_request_is_a_post_of_the_line() {
        let endpoint = Endpoint {
            address: ([127, 0, 0, 1], 4318).into(),
            host: "localhost:4318".into(),
            base: "/otlp".into(),
        };
        let request = String::from_utf8(request(&endpoint, Signal::Traces, b"{}")).unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "{}");
        assert!(head.starts_with("POST /otlp/v1/traces HTTP/1.1\r\nHost: localhost:4318\r\n"), "{head}");
        assert!(head.contains("\r\nContent-Length: 2\r\n"), "{head}");
        assert_eq!(Signal::of(b"{\"resourceLogs\":[]}\n"), Some(Signal::Logs));
        assert_eq!(Signal::of(b"{}"), None);
    }

    #[test]
    fn a_success_is_complete_when_its_body_is() {
        let done = |rejected| Some(Outcome::Done { rejected });
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", done(0));
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", None);
        check("HTTP/1.1 200 OK\r\n\r\n{}", None);
        check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\ncontent-length: 0\r\n\r\n", done(0));
        let partial = r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"x"}}"#;
        let length = partial.len();
        check(&format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{partial}"), done(3));
        let chunked =
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{partial}\r\n");
        check(&chunked, None);
        check(&format!("{chunked}0\r\n\r\n"), done(3));
        let early = outcome(chunked.as_bytes(), true, NOW);
        assert_eq!(early, again("its answer ends early", None));
    }

    #[test]
    fn an_overloaded_collector_is_asked_again_when_it_says() {
        check("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\n\r\n", again("it answers 429", Some(7)));
        check("HTTP/1.1 503 No\r\nretry-after:  999999\r\n\r\n", again("it answers 503", Some(600)));
        check("HTTP/1.1 502 No\r\nRetry-After: soon\r\n\r\n", again("it answers 502", None));
        let date = "HTTP/1.1 503 No\r\nRetry-After: Tue, 14 Nov 2023 22:13:30 GMT\r\n\r\n";
        check(date, again("it answers 503", Some(10)));
        check(&date.replace("30 GMT", "19 GMT"), again("it answers 503", Some(0)));
    }

    #[test]
    fn what_is_refused_is_not_sent_again_and_says_why() {
        let answer = "HTTP/1.1 400 Bad\r\nContent-Length: 9\r\n\r\nno\nspans\u{7}";
        check(answer, refused("it answers 400: no spans"));
        check("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", refused("it answers 404"));
        check("HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n", refused("it answers 301"));
    }

    #[test]
    fn garbage_and_silence_are_tried_again() {
        assert_eq!(outcome(b"", true, NOW), again("it closed the connection without an answer", None));
        assert_eq!(outcome(b"HTTP/1.1 200 O", true, NOW), again("its answer ends early", None));
        assert!(matches!(outcome(b"SSH-2.0-x\r\n", false, NOW), Some(Outcome::Again { .. })));
        assert_eq!(outcome(b"", false, NOW), None);
        let endless =
            [&b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"[..], &[b'x'; ANSWER_MAX]].concat();
        assert_eq!(outcome(&endless, false, NOW), again("its answer ends early", None));
    }

    #[test]
    fn waits_double_up_to_half_a_minute_and_differ() {
        let waits: Vec<u128> = [1, 2, 3, 7, 90].map(|failed| backoff(failed, 0).as_millis()).into();
        assert_eq!(waits, [500, 1000, 2000, 30_000, 30_000]);
        assert!(backoff(1, 1023) < backoff(1, 0) && backoff(1, 1023) > Duration::from_millis(370));
    }

    #[test]
    fn of_what_a_collector_says_a_line_is_told() {
        let text = "x".repeat(TOLD + 1);
        let answer = format!("HTTP/1.1 400 Bad\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        check(&answer, refused(&format!("it answers 400: {}", &text[..TOLD])));
    }

    #[test]
    fn a_chunk_that_is_longer_than_anything_is_none() {
        let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx";
        check(answer, again("its answer ends early", None));
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), ended in any::<bool>()) {
            let _ = outcome(&bytes, ended, NOW);
        }

        #[test]
        fn a_damaged_answer_is_some_outcome_or_none_and_never_a_panic(
            at in 0usize..90, byte in any::<u8>(), ended in any::<bool>()
        ) {
            let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n".to_vec();
            let at = at % answer.len();
            answer[at] = byte;
            let _ = outcome(&answer, ended, NOW);
        }

        #[test]
        fn how_an_answer_is_cut_does_not_change_what_it_means(cut in 0usize..76) {
            let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n";
            let first = outcome(&answer[..cut.min(answer.len())], false, NOW);
            prop_assert!(first.is_none() || first == outcome(answer, false, NOW));
        }
    }
}
