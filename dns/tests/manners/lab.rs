//! A server to ask, and questions to write and to spoil.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use common::clock::{Moment, WallTime};
use common::name::Zone;
use common::rng::Generator;
use dns::engine::config::{AnswerConfig, MannersConfig, NameServer, ZoneConfig};
use dns::engine::exchange::Arrival;
use dns::engine::inquiry::Transport;
use dns::engine::live::LiveSet;
use dns::engine::reason::Silence;
use dns::engine::server::Server;
use dns::engine::snapshot::Snapshot;
use dns::engine::zone::{ZoneData, Zones};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;

/// What the server calls itself.
pub(crate) const NSID: &[u8] = b"ns1-lab";

/// A name of a site.
pub(crate) const SITE: &str = "www.example.com.nyud.test";

/// The server, through both doors: they must agree in everything.
pub(crate) struct Lab {
    plain: Server,
    careful: Server,
    /// How messages come.
    pub(crate) arrival: Arrival,
}

impl Lab {
    /// A server with ten proxies of each family.
    pub(crate) fn new() -> Self {
        Self::with(MannersConfig {
            nsid: NSID.to_vec(),
            ..MannersConfig::default()
        })
    }

    /// The same with `manners`.
    pub(crate) fn with(manners: MannersConfig) -> Self {
        let v4 = (1..=10).map(|n| IpAddr::from([192, 0, 2, n]));
        let v6 = (1..=10).map(|n| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]));
        let live = LiveSet::new(v4.chain(v6), None);
        let config = AnswerConfig {
            https: Some(vec!["h2".to_owned()]),
            ..AnswerConfig::default()
        };
        let snapshot = Snapshot::new(zones(), config).with_live(live);
        let server = Server::new(
            Arc::new(snapshot),
            Arc::new(manners),
            Generator::from_seed(1),
        );
        Self {
            plain: server.clone(),
            careful: server.careful_only(),
            arrival: Arrival {
                now: Moment::from_millis(10_000),
                wall: WallTime::from_unix(1_800_000_000),
                from: IpAddr::from([198, 51, 100, 7]),
                transport: Transport::Udp,
            },
        }
    }

    /// The same, asked over TCP.
    pub(crate) fn over_tcp(mut self) -> Self {
        self.arrival.transport = Transport::Tcp;
        self
    }

    /// Lets time pass.
    pub(crate) fn after(&mut self, time: Duration) {
        self.arrival.now = self.arrival.now + time;
    }

    /// What comes back for `message`.
    pub(crate) fn send(&mut self, message: &[u8]) -> Result<Vec<u8>, Silence> {
        let (mut one, mut two) = (Vec::new(), Vec::new());
        let silence = self.plain.handle_message(&self.arrival, message, &mut one);
        let other = self
            .careful
            .handle_message(&self.arrival, message, &mut two);
        assert_eq!((silence, &one), (other, &two), "both doors say the same");
        silence.map_or(Ok(one), Err)
    }

    /// The reply to `message`.
    pub(crate) fn ask(&mut self, message: &Asking) -> Reply {
        let bytes = self.send(&message.bytes()).unwrap();
        Reply {
            message: Message::from_vec(&bytes).unwrap(),
            bytes,
        }
    }
}

fn zones() -> Zones {
    let config = ZoneConfig {
        zone: Zone::parse("nyud.test").unwrap(),
        servers: vec![
            server("ns1.nyud.test", &["192.0.2.53", "2001:db8::53"]),
            server("ns2.nyud.test", &["192.0.2.54", "2001:db8::54"]),
        ],
        hostmaster: "hostmaster@nyud.test".to_owned(),
        serial: 1,
        services: vec!["www".to_owned()],
        records: (0..20)
            .map(|n| format!("many TXT \"number {n} of twenty\""))
            .collect(),
        negative_ttl: 30,
        signing: None,
    };
    Zones::new(vec![ZoneData::new(&config).unwrap()]).unwrap()
}

fn server(name: &str, addresses: &[&str]) -> NameServer {
    NameServer {
        name: name.to_owned(),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
    }
}

/// A reply.
pub(crate) struct Reply {
    /// As hickory reads it.
    pub(crate) message: Message,
    /// As it is.
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    /// Its code, with the upper bits of EDNS.
    pub(crate) fn code(&self) -> u16 {
        let high = self
            .message
            .edns
            .as_ref()
            .map_or(0, |edns| u16::from(edns.rcode_high()));
        high << 4 | u16::from(self.bytes[3] & 0x0f)
    }

    /// Whether its code is `code`.
    pub(crate) fn is(&self, code: ResponseCode) -> bool {
        self.code() == u16::from(code)
    }

    /// Whether AA is set.
    pub(crate) fn authoritative(&self) -> bool {
        self.bytes[2] & 0x04 != 0
    }

    /// Whether TC is set.
    pub(crate) fn truncated(&self) -> bool {
        self.bytes[2] & 0x02 != 0
    }

    /// The value of the option `code`, as bytes.
    pub(crate) fn option(&self, code: u16) -> Option<Vec<u8>> {
        let mut data = self.options()?;
        while let [a, b, c, d, rest @ ..] = data {
            let length = usize::from(u16::from_be_bytes([*c, *d]));
            if u16::from_be_bytes([*a, *b]) == code {
                return Some(rest[..length].to_vec());
            }
            data = &rest[length..];
        }
        None
    }

    /// The options of OPT, which is the last record.
    fn options(&self) -> Option<&[u8]> {
        self.message.edns.as_ref()?;
        let fits = |start: &usize| {
            let record = &self.bytes[*start..];
            let length = usize::from(u16::from_be_bytes([record[9], record[10]]));
            record.starts_with(&[0, 0, 41, 4, 208]) && record.len() == 11 + length
        };
        let start = (12..self.bytes.len() - 10).find(fits)?;
        Some(&self.bytes[start + 11..])
    }
}

/// A message to be sent.
#[derive(Clone)]
pub(crate) struct Asking {
    /// Third and fourth byte: flags and code.
    pub(crate) flags: [u8; 2],
    /// Questions: name, type, class.
    pub(crate) questions: Vec<(Vec<u8>, u16, u16)>,
    /// Records of the authority section.
    pub(crate) authority: Vec<Vec<u8>>,
    /// Records of the additional section.
    pub(crate) additional: Vec<Vec<u8>>,
}

/// Its number.
pub(crate) const ID: u16 = 0x1234;

/// A question of type `qtype` about `name`, with RD and nothing else.
pub(crate) fn asking(name: &str, qtype: RecordType) -> Asking {
    Asking {
        flags: [1, 0],
        questions: vec![(wire(name), qtype.into(), 1)],
        authority: Vec::new(),
        additional: Vec::new(),
    }
}

impl Asking {
    /// The same with an OPT record that has these options.
    pub(crate) fn with_options(self, options: &[&[u8]]) -> Self {
        self.with_opt(1_232, [0; 4], options)
    }

    /// The same with any OPT record.
    pub(crate) fn with_opt(mut self, payload: u16, ttl: [u8; 4], options: &[&[u8]]) -> Self {
        let data = options.concat();
        let mut record = vec![0, 0, 41];
        record.extend(payload.to_be_bytes());
        record.extend(ttl);
        record.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        record.extend(data);
        self.additional.push(record);
        self
    }

    /// The message.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = ID.to_be_bytes().to_vec();
        bytes.extend(self.flags);
        let counts = [
            self.questions.len(),
            0,
            self.authority.len(),
            self.additional.len(),
        ];
        for count in counts {
            bytes.extend(u16::try_from(count).unwrap().to_be_bytes());
        }
        for (name, qtype, qclass) in &self.questions {
            bytes.extend(name);
            bytes.extend(qtype.to_be_bytes());
            bytes.extend(qclass.to_be_bytes());
        }
        bytes.extend(self.authority.concat());
        bytes.extend(self.additional.concat());
        bytes
    }
}

/// `name` in wire form.
pub(crate) fn wire(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// An option.
pub(crate) fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = code.to_be_bytes().to_vec();
    bytes.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    bytes.extend(value);
    bytes
}
