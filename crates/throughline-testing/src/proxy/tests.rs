//! What each fault of the proxy does to a connection.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use super::*;
use crate::absent::Absent;

const SOON: Duration = Duration::from_secs(10);

/// A connection through a proxy, and the server's end of it.
fn connected() -> (TcpProxy, TcpStream, TcpStream) {
    let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let proxy = TcpProxy::start(server.local_addr().expect("an address")).expect("a proxy");
    let client = TcpStream::connect(proxy.addr()).expect("a listening proxy");
    let (accepted, _) = server.accept().expect("a connection");
    for socket in [&client, &accepted] {
        socket.set_read_timeout(Some(SOON)).expect("a timeout");
    }
    (proxy, client, accepted)
}

/// How a new connection fails: as it is made, or when it is read from, whichever the reset is there before.
fn refused(proxy: &TcpProxy) -> ErrorKind {
    let read = TcpStream::connect(proxy.addr()).and_then(|mut client| client.read(&mut [0]));
    read.expect_err("no FIN").kind()
}

fn read(socket: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut buffer = vec![0; bytes];
    socket.read_exact(&mut buffer).expect("the bytes arrive");
    buffer
}

#[test]
fn bytes_pass_both_ways_and_are_counted() {
    let (proxy, mut client, mut server) = connected();
    client.write_all(b"ping").expect("open");
    assert_eq!(read(&mut server, 4), b"ping");
    server.write_all(b"pong!").expect("open");
    assert_eq!(read(&mut client, 5), b"pong!");
    drop(client);
    assert_eq!(server.read(&mut [0]).expect("an end"), 0, "FIN passes too");
    assert_eq!(proxy.connections(), 1);
    assert_eq!(
        (proxy.bytes_from_client(), proxy.bytes_from_server()),
        (4, 5)
    );
}

#[test]
fn a_stall_holds_bytes_back_and_a_drop_loses_them() {
    let (proxy, mut client, mut server) = connected();
    proxy.set(Fault::Stall);
    client.write_all(b"held").expect("open");
    server.set_nonblocking(true).expect("a socket");
    let nothing = server.read(&mut [0; 8]).expect_err("nothing arrives");
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    server.set_nonblocking(false).expect("a socket");
    proxy.set(Fault::None);
    assert_eq!(read(&mut server, 4), b"held");

    proxy.set(Fault::Drop);
    client.write_all(b"lost").expect("open");
    while proxy.bytes_from_client() < 8 {
        thread::yield_now();
    }
    proxy.set(Fault::None);
    client.write_all(b"kept").expect("open");
    assert_eq!(read(&mut server, 4), b"kept");
}

#[test]
fn a_reset_hits_old_and_new_connections() {
    let (proxy, mut client, mut server) = connected();
    proxy.set(Fault::Reset);
    for socket in [&mut client, &mut server] {
        let error = socket.read(&mut [0]).expect_err("no FIN");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(refused(&proxy), ErrorKind::ConnectionReset);
}

#[test]
fn an_answer_can_be_cut_off_after_the_request_came_through() {
    let (proxy, mut client, mut server) = connected();
    proxy.set(Fault::CutAnswers);
    client.write_all(b"question").expect("open");
    assert_eq!(read(&mut server, 8), b"question");
    server.write_all(b"answer").expect("open");
    let error = client.read(&mut [0]).expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(proxy.bytes_from_server(), 6);
}

#[test]
fn slices_limit_the_rate() {
    let (proxy, mut client, mut server) = connected();
    proxy.slice(10, Duration::from_millis(5));
    let start = Instant::now();
    client.write_all(&[7; 100]).expect("open");
    assert_eq!(read(&mut server, 100), [7; 100]);
    assert!(start.elapsed() >= Duration::from_millis(45));
}

#[test]
fn a_target_that_is_not_there_resets_and_another_may_be() {
    let absent = Absent::start().expect("a free port");
    let proxy = TcpProxy::start(absent.addr()).expect("a proxy");
    assert_eq!(refused(&proxy), ErrorKind::ConnectionReset);

    let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
    proxy.set_target(server.local_addr().expect("an address"));
    let mut client = TcpStream::connect(proxy.addr()).expect("a listening proxy");
    let (mut accepted, _) = server.accept().expect("a connection");
    accepted.write_all(b"hello").expect("open");
    assert_eq!(read(&mut client, 5), b"hello");
}
