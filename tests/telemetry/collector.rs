//! A small HTTP collector on loopback, which does what the test says with each request.

use crate::rig::Arrived;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// What the collector does with one request.
#[derive(Clone, Debug)]
pub enum Does {
    /// Takes it.
    Take,
    /// Takes it, and rejects so many of its records.
    TakeBut(u64),
    /// Reads it and answers this.
    Answer(&'static str),
    /// Closes the connection before it has read anything.
    Close,
    /// Reads it, and answers nothing while the test goes on.
    Stall,
}

/// A request, as it was sent.
#[derive(Debug)]
pub struct Request {
    pub path: String,
    pub body: Vec<u8>,
    pub taken: bool,
}

pub struct Collector {
    pub address: SocketAddr,
    requests: Receiver<Option<Request>>,
}

impl Collector {
    /// Takes everything, once its orders are carried out.
    pub fn new(orders: &[Does]) -> Collector {
        Collector::on(TcpListener::bind("127.0.0.1:0").unwrap(), orders)
    }

    pub fn on(listener: TcpListener, orders: &[Does]) -> Collector {
        let address = listener.local_addr().unwrap();
        let (said, requests) = channel();
        let orders = orders.to_vec();
        let mut to_do = orders.into_iter();
        // Ends with the test's process.
        thread::spawn(move || {
            let mut stalled = Vec::new();
            for stream in listener.incoming() {
                let does = to_do.next().unwrap_or(Does::Take);
                let request = serve(stream.unwrap(), &does, &mut stalled);
                if said.send(request).is_err() {
                    break;
                }
            }
        });
        Collector { address, requests }
    }

    /// The next request; `None`: its connection was closed before.
    #[track_caller]
    pub fn next(&self) -> Option<Request> {
        self.requests.recv_timeout(std::time::Duration::from_secs(60)).expect("somebody sends something")
    }

    /// Adds what was taken to what has arrived, until that is so.
    #[track_caller]
    pub fn take_until(&self, arrived: &mut Arrived, is_it: impl Fn(&Arrived) -> bool) {
        while !is_it(arrived) {
            if let Some(request) = self.next().filter(|request| request.taken) {
                assert!(["/v1/traces", "/v1/logs"].contains(&request.path.as_str()), "{}", request.path);
                arrived.add(&request.body);
            }
        }
    }
}

fn serve(stream: TcpStream, does: &Does, stalled: &mut Vec<TcpStream>) -> Option<Request> {
    if matches!(does, Does::Close) {
        return None;
    }
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((key, value)) = line.trim_end().split_once(": ") else { break };
        if key.eq_ignore_ascii_case("content-length") {
            length = value.parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut stream = stream;
    let mut answer = |text: String| {
        // Who was killed meanwhile does not read it.
        let _ = stream.write_all(text.as_bytes());
    };
    let whole = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let taken = match does {
        Does::Take => {
            answer(whole("{}"));
            true
        }
        Does::TakeBut(count) => {
            answer(whole(&format!("{{\"partialSuccess\":{{\"rejectedLogRecords\":\"{count}\"}}}}")));
            true
        }
        Does::Answer(text) => {
            answer((*text).to_owned());
            false
        }
        Does::Stall => {
            stalled.push(stream);
            false
        }
        Does::Close => false,
    };
    Some(Request { path, body, taken })
}
