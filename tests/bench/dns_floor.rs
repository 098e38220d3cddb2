//! A server that answers without reading: what receiving a datagram and sending one costs on this
//! machine, as much at a time as the name server takes. What a name server costs beyond it is its own.

use std::net::SocketAddr;

use common::shell::datagrams;
use harness::daemon::Daemon;
use harness::place::Place;

use super::dns_rivals::{Choice, Rival, free, until_answers};

/// Datagrams per system call: as many as the name server takes.
const BATCH: usize = 32;

/// Bytes of three address records, which the answer has more than its question.
const RECORDS: [u8; 48] = [0; 48];

/// Arguments of `bench dns-floor`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FloorArgs {
    /// Where to listen
    listen: SocketAddr,
}

/// Answers for ever.
pub(crate) fn run(args: &FloorArgs) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(serve(args.listen));
}

async fn serve(listen: SocketAddr) {
    let socket = std::net::UdpSocket::bind(listen).unwrap();
    socket.set_nonblocking(true).unwrap();
    let socket = datagrams::Socket::new(socket).unwrap();
    let mut buffers = vec![[0; 1_472]; BATCH];
    let mut replies: Vec<_> = (0..BATCH).map(|_| (listen, Vec::new())).collect();
    loop {
        socket.readable().await.unwrap();
        let mut made = 0;
        let _ = socket.try_read(|socket| {
            datagrams::receive(socket, &mut buffers, |from, bytes| {
                let (to, out): &mut (SocketAddr, Vec<u8>) = &mut replies[made];
                *to = from;
                out.clear();
                out.extend_from_slice(bytes);
                out.extend_from_slice(&RECORDS);
                // An answer with three records.
                out[2] |= 0x80;
                out[7] = 3;
                made += 1;
            })
        });
        if made > 0 {
            let _ = datagrams::send(socket.get(), &replies[..made]);
        }
    }
}

/// It as one of those that are measured.
pub(crate) async fn rival(place: &Place) -> Rival {
    let addr = free();
    let program = std::env::current_exe().unwrap();
    let args = ["dns-floor", &addr.to_string()];
    let rival = Rival {
        name: "no server: received and sent back".to_owned(),
        version: String::new(),
        addr,
        choice: Choice::None,
        daemon: Daemon::start_other("floor", &program, &args, place.dir()),
    };
    until_answers(&rival).await;
    rival
}
