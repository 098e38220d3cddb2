//! A traced command tells of its steps at both ends; bounded.

use common::ids::Key;
use common::trace::{Context, Ids, Keep};

use super::world::{World, addr, secs};
use crate::engine::traced::{Answered, Hop, TRACED_MAX};
use crate::engine::{Event, Ticket, Wish};

fn context(ids: &mut Ids) -> Context {
    Context {
        trace: ids.trace().0,
        parent: ids.span(),
        keep: Some(Keep::Asked),
    }
}

fn get(world: &mut World) {
    let (key, want) = (Key::of(b"a"), 1);
    world.ask(0, Wish::Get { key, want });
    world.run(secs(2));
}

fn hops(world: &World) -> Vec<Hop> {
    let hop = |event: &Event| match event {
        Event::Hop(hop) => Some(*hop),
        _ => None,
    };
    let own = world.events.iter().filter(|(who, _)| *who == addr(0));
    own.filter_map(|(_, event)| hop(event)).collect()
}

fn answered(world: &World) -> Vec<Answered> {
    let one = |event: &Event| match event {
        Event::Answered(answered) => Some(*answered),
        _ => None,
    };
    let others = world.events.iter().filter(|(who, _)| *who != addr(0));
    others.filter_map(|(_, event)| one(event)).collect()
}

fn trace(world: &mut World, ticket: u64, context: Context) {
    let node = world.nodes.get_mut(&addr(0)).unwrap();
    node.trace_command(Ticket(ticket), context);
}

#[test]
fn both_ends_of_a_traced_get_tell_and_of_others_nobody() {
    let mut world = World::of(1, 5);
    get(&mut world);
    assert!(hops(&world).is_empty() && answered(&world).is_empty());
    let context = context(&mut Ids::new([3; 8]));
    let next = world.next;
    trace(&mut world, next, context);
    get(&mut world);
    let (hops, answered) = (hops(&world), answered(&world));
    assert!(!hops.is_empty() && !answered.is_empty());
    assert!(hops.iter().all(|hop| hop.context == context));
    for one in answered {
        let asked = hops.iter().find(|hop| hop.id == Some(one.context.parent));
        assert!(
            asked.is_some_and(|hop| hop.reply == Some(one.reply)),
            "{one:?}"
        );
        assert_eq!(one.context.trace, context.trace);
    }
    assert_eq!(world.node(0).traced.len(), 0);
}

#[test]
fn silence_is_told_too() {
    let mut world = World::of(1, 3);
    world.kill(1);
    world.kill(2);
    let next = world.next;
    trace(&mut world, next, context(&mut Ids::new([3; 8])));
    get(&mut world);
    let hops = hops(&world);
    assert!(
        hops.iter()
            .any(|hop| hop.id.is_none() && hop.reply.is_none()),
        "{hops:?}"
    );
}

#[test]
fn commands_beyond_the_bound_are_carried_out_untraced() {
    let mut world = World::of(1, 2);
    let mut ids = Ids::new([3; 8]);
    for ticket in 0..TRACED_MAX as u64 {
        let context = context(&mut ids);
        trace(&mut world, 1_000 + ticket, context);
    }
    let next = world.next;
    let context = context(&mut ids);
    trace(&mut world, next, context);
    assert_eq!(world.node(0).traced.len(), TRACED_MAX);
    get(&mut world);
    assert!(hops(&world).is_empty());
}
