//! HTTP/2 over plain TCP, from those who begin with it: what its frames may do. Over TLS, and real
//! clients, are in [`tls`](crate::tls).

mod floods;
mod frames;
mod requests;
mod slow;
