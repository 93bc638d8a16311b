//! Needs that close a circle: "a needs b, b needs a", also through groups and the order of their members.
//!
//! Nothing in a circle could ever start, and nothing in it could ever be stopped in order. The configuration
//! refuses circles; the core ignores the need that closes one, so that a shutdown always ends.

use super::group::is_ordered;
use super::spec::{ChildId, Group, GroupId, Node, Tree};

/// Who waits for what.
type Wish = (Node, Node);

/// The needs of children, and what groups come after, as (who, what): all but those that close a circle. `needs`: those
/// of each child.
pub(super) fn free_of_circles(groups: &[Group], needs: &[&[Node]]) -> Vec<Wish> {
    let mut graph = Graph::new(groups, needs.len());
    let wishes = wishes(groups, needs);
    for wish in &wishes {
        graph.add(wish);
    }
    if graph.is_free() {
        return wishes;
    }
    let mut graph = Graph::new(groups, needs.len());
    let (kept, _) = split(&mut graph, wishes);
    kept
}

/// The needs that can never be met, because each closes a circle with those before it; empty for a sound tree.
///
/// A search for each need: for messages about a configuration, not for every start.
pub fn circles(tree: &Tree) -> Vec<(Node, Node)> {
    let needs: Vec<&[Node]> = tree.children.iter().map(|child| child.needs.as_slice()).collect();
    split(&mut Graph::new(&tree.groups, needs.len()), wishes(&tree.groups, &needs)).1
}

fn wishes(groups: &[Group], needs: &[&[Node]]) -> Vec<Wish> {
    let children = needs
        .iter()
        .enumerate()
        .flat_map(|(at, needs)| needs.iter().map(move |needed| (Node::Child(ChildId(at as u32)), *needed)));
    let groups = groups.iter().enumerate().flat_map(|(at, group)| {
        group.after.iter().map(move |earlier| (Node::Group(GroupId(at as u32)), *earlier))
    });
    children.chain(groups).collect()
}

/// Adds what closes no circle to the graph; returns what was added and what was not.
fn split(graph: &mut Graph, wishes: Vec<Wish>) -> (Vec<Wish>, Vec<Wish>) {
    wishes.into_iter().partition(|wish| {
        let closes = graph.reaches(graph.begin(wish.0), graph.done(wish.1));
        if !closes {
            graph.add(wish);
        }
        !closes
    })
}

/// What has to happen before what. Each node of the tree is two: it may begin, and it is done (up).
struct Graph {
    children: usize,
    nodes: usize,
    later: Vec<Vec<u32>>,
}

impl Graph {
    /// What the tree itself says: a group begins before its members and is done after them; in a group with
    /// order, each member begins when the one before is done.
    fn new(groups: &[Group], children: usize) -> Graph {
        let nodes = children + groups.len();
        let mut graph = Graph { children, nodes, later: vec![Vec::new(); 2 * nodes] };
        for child in 0..children {
            let child = Node::Child(ChildId(child as u32));
            graph.before(graph.begin(child), graph.done(child));
        }
        for (at, group) in groups.iter().enumerate() {
            let this = Node::Group(GroupId(at as u32));
            graph.before(graph.begin(this), graph.done(this));
            for member in &group.members {
                graph.before(graph.begin(this), graph.begin(*member));
                graph.before(graph.done(*member), graph.done(this));
            }
            if is_ordered(group) {
                for pair in group.members.windows(2) {
                    graph.before(graph.done(pair[0]), graph.begin(pair[1]));
                }
            }
        }
        graph
    }

    fn add(&mut self, (who, what): &Wish) {
        self.before(self.done(*what), self.begin(*who));
    }

    fn before(&mut self, earlier: usize, later: usize) {
        self.later[earlier].push(later as u32);
    }

    fn begin(&self, node: Node) -> usize {
        match node {
            Node::Child(child) => child.0 as usize,
            Node::Group(group) => self.children + group.0 as usize,
        }
    }

    fn done(&self, node: Node) -> usize {
        self.nodes + self.begin(node)
    }

    /// Whether everything can be put in some order (Kahn 1962).
    fn is_free(&self) -> bool {
        let mut waiting = vec![0_u32; self.later.len()];
        for later in self.later.iter().flatten() {
            waiting[*later as usize] += 1;
        }
        let mut ready: Vec<usize> = (0..waiting.len()).filter(|node| waiting[*node] == 0).collect();
        let mut ordered = 0;
        while let Some(node) = ready.pop() {
            ordered += 1;
            for later in &self.later[node] {
                waiting[*later as usize] -= 1;
                if waiting[*later as usize] == 0 {
                    ready.push(*later as usize);
                }
            }
        }
        ordered == self.later.len()
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        let mut seen = vec![false; self.later.len()];
        let mut stack = vec![from];
        while let Some(node) = stack.pop() {
            if node == to {
                return true;
            }
            if !std::mem::replace(&mut seen[node], true) {
                stack.extend(self.later[node].iter().map(|later| *later as usize));
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{child, group, tree};
    use super::*;
    use crate::supervisor::spec::Strategy;

    fn c(at: u32) -> Node {
        Node::Child(ChildId(at))
    }

    fn free(tree: &Tree) -> Vec<Wish> {
        let needs: Vec<&[Node]> = tree.children.iter().map(|child| child.needs.as_slice()).collect();
        free_of_circles(&tree.groups, &needs)
    }

    #[test]
    fn a_sound_tree_has_no_circle() {
        let sound = tree(vec![group(0, 2)], vec![child(0), child(0).needing(c(0))]);
        assert_eq!(circles(&sound), []);
        assert_eq!(free(&sound), [(c(1), c(0))]);
    }

    #[test]
    fn the_need_that_closes_a_circle_is_named_and_ignored() {
        let odd = tree(
            vec![group(0, 3)],
            vec![child(0).needing(c(1)), child(0).needing(c(2)), child(0).needing(c(0))],
        );
        assert_eq!(circles(&odd), [(c(2), c(0))]);
        assert_eq!(free(&odd), [(c(0), c(1)), (c(1), c(2))]);
    }

    #[test]
    fn a_need_against_the_order_of_a_group_is_a_circle() {
        let mut odd = tree(vec![group(0, 2)], vec![child(0).needing(c(1)), child(0)]);
        assert_eq!(circles(&odd), []);
        odd.groups[0].strategy = Strategy::RestForOne;
        assert_eq!(circles(&odd), [(c(0), c(1))]);
    }

    #[test]
    fn a_need_of_the_group_around_it_or_of_itself_is_a_circle() {
        let odd = tree(vec![group(0, 1)], vec![child(0).needing(Node::Group(GroupId(0))).needing(c(0))]);
        assert_eq!(circles(&odd).len(), 2);
    }
}
