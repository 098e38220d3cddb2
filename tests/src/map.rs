//! Writes maps in MaxMind's format (MaxMind DB File Format 2.0), as small as they can be: IPv4 networks
//! and the coordinates of each. The addresses of tests are made up while they run.

use std::net::Ipv4Addr;

/// Between the tree and the data.
const SEPARATOR: [u8; 16] = [0; 16];

/// Before the metadata.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// Where a branch of the tree leads.
#[derive(Clone, Copy)]
enum Branch {
    Nowhere,
    Node(usize),
    Data(usize),
}

/// The file of a map on which each network, an address and the number of its leading bits, is at these
/// degrees north and east.
#[must_use]
pub fn mmdb(networks: &[(Ipv4Addr, u8, f64, f64)]) -> Vec<u8> {
    let mut nodes = vec![[Branch::Nowhere; 2]];
    let mut data = Vec::new();
    for (address, bits, north, east) in networks {
        let leaf = Branch::Data(data.len());
        let degrees = |name: &str, value: f64| [text(name), double(value)].concat();
        let both = [degrees("latitude", *north), degrees("longitude", *east)].concat();
        data.extend([map(1), text("location"), map(2), both].concat());
        insert(&mut nodes, address.to_bits(), *bits, leaf);
    }
    let count = nodes.len();
    let slot = |branch: &Branch| match branch {
        Branch::Nowhere => count,
        Branch::Node(number) => *number,
        Branch::Data(offset) => count + SEPARATOR.len() + offset,
    };
    let slots = nodes.iter().flatten().map(slot);
    let tree = slots.flat_map(|slot| u32::try_from(slot).expect("small").to_be_bytes());
    let mut file: Vec<u8> = tree.collect();
    file.extend([&SEPARATOR, data.as_slice(), MARKER].concat());
    file.extend(metadata(count));
    file
}

fn insert(nodes: &mut Vec<[Branch; 2]>, address: u32, bits: u8, leaf: Branch) {
    let mut at = 0;
    for depth in 1..=u32::from(bits) {
        let side = usize::from(address >> (32 - depth) & 1 == 1);
        if depth == u32::from(bits) {
            nodes[at][side] = leaf;
        } else if let Branch::Node(next) = nodes[at][side] {
            at = next;
        } else {
            nodes.push([Branch::Nowhere; 2]);
            let next = nodes.len() - 1;
            nodes[at][side] = Branch::Node(next);
            at = next;
        }
    }
}

fn metadata(nodes: usize) -> Vec<u8> {
    let nodes = u32::try_from(nodes).expect("small");
    [
        map(9),
        [text("node_count"), number(6, &nodes.to_be_bytes())].concat(),
        [text("record_size"), number(5, &[0, 32])].concat(),
        [text("ip_version"), number(5, &[0, 4])].concat(),
        [text("database_type"), text("Test-City")].concat(),
        // An empty list, a number of 64 bits and an empty map.
        [text("languages"), vec![0, 4]].concat(),
        [text("binary_format_major_version"), number(5, &[0, 2])].concat(),
        [text("binary_format_minor_version"), number(5, &[0, 0])].concat(),
        [text("build_epoch"), vec![1, 2, 1]].concat(),
        [text("description"), map(0)].concat(),
    ]
    .concat()
}

/// The first byte of a field: its kind and its length.
fn control(kind: u8, length: usize) -> u8 {
    assert!(length < 29, "longer ones are written in another way");
    kind << 5 | u8::try_from(length).expect("below 29")
}

fn text(text: &str) -> Vec<u8> {
    let mut field = vec![control(2, text.len())];
    field.extend(text.as_bytes());
    field
}

fn double(value: f64) -> Vec<u8> {
    number(3, &value.to_be_bytes())
}

fn number(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![control(kind, bytes.len())];
    field.extend(bytes);
    field
}

fn map(entries: usize) -> Vec<u8> {
    vec![control(7, entries)]
}
