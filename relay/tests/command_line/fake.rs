//! A relay that answers what the test wants, for answers that a real one gives only after hours.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// Answers requests with what `answer` gives for their first line: status, content type, body.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) url: String,
    /// The heads of the requests that came, in lower case.
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
}

pub(crate) type Answer = (u16, &'static str, String);

impl Fake {
    pub(crate) fn start(answer: impl Fn(&str) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                respond(stream, &answer, &seen);
            }
        });
        Self { url, heads }
    }
}

fn respond(mut stream: TcpStream, answer: &impl Fn(&str) -> Answer, seen: &Mutex<Vec<String>>) {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while reader.read_line(&mut head).is_ok_and(|len| len > 2) {}
    let (status, kind, body) = answer(head.lines().next().unwrap_or_default());
    seen.lock().unwrap().push(head.to_lowercase());
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
}
