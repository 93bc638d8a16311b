//! The moments at which something is due, at most one for each node of the tree.
//!
//! Invariant: a binary heap whose entries know their places, so that changing or clearing a deadline is
//! O(log n), nothing stale is ever kept, and the next one is a look at the top. It allocates only when a node is
//! added.

use super::shape::ByNode;
use crate::time::Instant;

/// Not in the heap.
const NOWHERE: u32 = u32::MAX;

/// The deadlines of all nodes.
#[derive(Clone, Debug)]
pub(super) struct Deadlines {
    /// (when, whose), smallest first; ties go to the smaller node, so that runs repeat exactly.
    heap: Vec<(Instant, u32)>,
    /// Where each node's entry is in `heap`.
    places: ByNode<u32>,
}

impl Deadlines {
    /// No node has a deadline.
    pub(super) fn new(children: usize, groups: usize) -> Deadlines {
        let places = ByNode::new(NOWHERE, children, groups);
        Deadlines { heap: Vec::with_capacity(children + groups), places }
    }

    /// There is one more child.
    pub(super) fn add_child(&mut self) {
        self.places.children.push(NOWHERE);
        let nodes = self.places.children.len() + self.places.groups.len();
        self.heap.reserve(nodes - self.heap.len());
    }

    /// There is one more group.
    pub(super) fn add_group(&mut self) {
        self.places.groups.push(NOWHERE);
    }

    /// The earliest deadline and its node.
    pub(super) fn first(&self) -> Option<(Instant, usize)> {
        self.heap.first().map(|&(at, node)| (at, node as usize))
    }

    /// Sets, changes or clears the deadline of `node`.
    pub(super) fn set(&mut self, node: usize, at: Option<Instant>) {
        let place = self.places[node];
        match at {
            None if place == NOWHERE => {}
            None => self.remove(place as usize),
            Some(at) if place == NOWHERE => {
                self.heap.push((at, node as u32));
                self.rise(self.heap.len() - 1);
            }
            Some(at) => {
                self.heap[place as usize].0 = at;
                let place = self.sink(place as usize);
                self.rise(place);
            }
        }
    }

    fn remove(&mut self, place: usize) {
        let (_, node) = self.heap.swap_remove(place);
        self.places[node as usize] = NOWHERE;
        if place < self.heap.len() {
            let place = self.sink(place);
            self.rise(place);
        }
    }

    /// Moves the entry at `place` towards the top, as far as it belongs, and records its place.
    fn rise(&mut self, mut place: usize) {
        while place > 0 && self.heap[place] < self.heap[(place - 1) / 2] {
            let above = (place - 1) / 2;
            self.heap.swap(place, above);
            self.places[self.heap[place].1 as usize] = place as u32;
            place = above;
        }
        self.places[self.heap[place].1 as usize] = place as u32;
    }

    /// Moves the entry at `place` away from the top, as far as it belongs; returns its new place.
    fn sink(&mut self, mut place: usize) -> usize {
        loop {
            let left = 2 * place + 1;
            let Some(&entry) = self.heap.get(left) else { break };
            let below =
                if self.heap.get(left + 1).is_some_and(|right| *right < entry) { left + 1 } else { left };
            if self.heap[place] <= self.heap[below] {
                break;
            }
            self.heap.swap(place, below);
            self.places[self.heap[place].1 as usize] = place as u32;
            place = below;
        }
        self.places[self.heap[place].1 as usize] = place as u32;
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_a_scan() {
        let mut deadlines = Deadlines::new(50, 0);
        let mut plain: Vec<Option<Instant>> = vec![None; 50];
        let mut random = 1_u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let node = (random >> 33) as usize % 50;
            let at = (random >> 60 != 0).then(|| Instant::from_nanos((random >> 40) & 0xff));
            deadlines.set(node, at);
            plain[node] = at;
            let expected = plain.iter().enumerate().filter_map(|(n, at)| at.map(|at| (at, n))).min();
            assert_eq!(deadlines.first(), expected);
        }
    }
}
