//! Who waits for whom, and whether anybody would wait for ever.
//!
//! A graph of services and of the beginnings and ends of groups. An arrow means "starts after": a service after
//! what it needs and after its group begins; the end of a group after all its members; under `rest_for_one`
//! and OTP's semantics each member after the one before it. A circle can never start. The walk keeps its own stack, so a
//! chain of ten thousand services is no deeper than one.

use super::fields::Span;

/// Why one starts after another.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Why {
    /// `needs`, written there.
    Needs(Span),
    /// The order of this group's members.
    Order(usize),
    /// Being a member of a group.
    Membership,
}

/// A service or a group, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Service(usize),
    Group(usize),
}

/// What starts after what.
#[derive(Debug)]
pub(super) struct Graph {
    services: usize,
    arrows: Vec<Vec<(usize, Why)>>,
}

impl Graph {
    /// `groups` counts the root, which is group 0.
    pub(super) fn new(services: usize, groups: usize) -> Graph {
        let mut graph = Graph { services, arrows: vec![Vec::new(); services + 2 * groups] };
        for group in (0..groups).map(Item::Group) {
            let (begin, end) = (graph.begin(group), graph.end(group));
            graph.arrows[end].push((begin, Why::Membership));
        }
        graph
    }

    /// `item` is a member of `group`.
    pub(super) fn member(&mut self, group: usize, item: Item) {
        let (begin, end) = (self.begin(Item::Group(group)), self.end(Item::Group(group)));
        let (first, last) = (self.begin(item), self.end(item));
        self.arrows[first].push((begin, Why::Membership));
        self.arrows[end].push((last, Why::Membership));
    }

    /// Within `group`, `item` starts after `earlier`.
    pub(super) fn ordered(&mut self, group: usize, earlier: Item, item: Item) {
        let (from, to) = (self.begin(item), self.end(earlier));
        self.arrows[from].push((to, Why::Order(group)));
    }

    /// The service needs `item`, as is written at `at`.
    pub(super) fn needs(&mut self, service: usize, item: Item, at: Span) {
        let to = self.end(item);
        self.arrows[service].push((to, Why::Needs(at)));
    }

    /// Circles, at most `limit`: for each the steps (who, why it waits for the next). Every node is visited once, so
    /// overlapping circles are not all listed; when the listed ones are gone, the next look finds the others.
    pub(super) fn circles(&self, limit: usize) -> Vec<Vec<(Item, Why)>> {
        let mut found = Vec::new();
        let mut state = vec![State::New; self.arrows.len()];
        for start in 0..self.arrows.len() {
            if state[start] != State::New {
                continue;
            }
            state[start] = State::Open;
            let mut path = vec![(start, 0)];
            while let Some((node, next)) = path.last_mut() {
                let Some((to, _)) = self.arrows[*node].get(*next) else {
                    state[*node] = State::Done;
                    path.pop();
                    continue;
                };
                *next += 1;
                match state[*to] {
                    State::New => {
                        state[*to] = State::Open;
                        path.push((*to, 0));
                    }
                    State::Open if found.len() < limit => {
                        let from = path
                            .iter()
                            .position(|(node, _)| node == to)
                            .expect("an open node is on the path");
                        found.push(self.steps(&path[from..]));
                    }
                    State::Open | State::Done => {}
                }
            }
        }
        found
    }

    fn steps(&self, path: &[(usize, usize)]) -> Vec<(Item, Why)> {
        path.iter().map(|(node, next)| (self.item(*node), self.arrows[*node][next - 1].1.clone())).collect()
    }

    fn begin(&self, item: Item) -> usize {
        match item {
            Item::Service(service) => service,
            Item::Group(group) => self.services + 2 * group,
        }
    }

    fn end(&self, item: Item) -> usize {
        match item {
            Item::Service(service) => service,
            Item::Group(group) => self.services + 2 * group + 1,
        }
    }

    fn item(&self, node: usize) -> Item {
        match node.checked_sub(self.services) {
            None => Item::Service(node),
            Some(group) => Item::Group(group / 2),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Open,
    Done,
}
