//! Another tree in place of this one: what stays, what is new, what goes (OTP N).

use crate::judge::Judge;
use crate::known::Sure;
use crate::map::{child as child_node, group as group_node};
use mainstay::supervisor::spec::{Child, ChildId, GroupId, Node, Restart};
use mainstay::supervisor::{Flaw, Reloaded, Revision, Supervisor};

impl Judge {
    /// Judges the answer to a reload; its actions come afterwards. `flaw`: what is wrong with the revision.
    pub(crate) fn reloaded(
        &mut self,
        revision: &Revision,
        flaw: Option<(Node, Flaw)>,
        answer: &Result<Reloaded, Vec<(Node, Flaw)>>,
        supervisor: &Supervisor,
    ) {
        match (answer, flaw) {
            (Err(flaws), _) if self.ending => self.check(flaws.is_empty(), "nothing is reloaded at the end"),
            (Err(flaws), Some(flaw)) => {
                self.check(flaws.contains(&flaw), format!("N02: {flaw:?} is not among {flaws:?}"));
            }
            (Err(flaws), None) => self.check(false, format!("a sound revision was refused: {flaws:?}")),
            (Ok(_), Some(flaw)) => self.check(false, format!("N02: {flaw:?} was not seen")),
            (Ok(_), None) if self.ending => self.check(false, "a reload at the end"),
            (Ok(new), None) => self.replaced(revision, new, supervisor),
        }
    }

    fn replaced(&mut self, revision: &Revision, new: &Reloaded, supervisor: &Supervisor) {
        self.commanded = true;
        self.told_all_up = false;
        let back = self.everybody_is_back(supervisor);
        let made = self.numbered(revision, new);
        let lives: Vec<usize> = revision
            .restart
            .iter()
            .map(|child| new.children[child.0 as usize].0 as usize)
            .filter(|child| self.known[*child].life.is_some())
            .filter(|child| !revision.otp_rule && !(self.map.is_otp(*child)))
            .collect();
        let chains: Vec<Vec<(usize, usize)>> =
            (0..self.known.len()).map(|child| self.map.chain(child_node(child)).collect()).collect();
        self.map.unwish();
        let members: Vec<Vec<Node>> =
            self.map.tree.groups.iter().map(|group| group.members.clone()).collect();
        self.new_policies(revision, new, &made);
        let known = known_nodes(new);
        self.go_away(revision, &known, &members, &back, supervisor);
        self.new_members(revision, new, &known, members);
        self.map.wish();
        self.declare();
        for child in self.map.living().collect::<Vec<_>>() {
            // It goes the way of the groups that it is in now.
            let chain: Vec<(usize, usize)> = self.map.chain(child_node(child)).collect();
            let groups = |chain: &[(usize, usize)]| chain.iter().map(|(group, _)| *group).collect::<Vec<_>>();
            let before = chains.get(child).map(|chain| groups(chain)).unwrap_or_default();
            let moved = groups(&chain) != before;
            let fell = |chain: &[usize]| chain.iter().any(|group| self.groups[*group].fell);
            self.known[child].moved |= moved;
            let known = &self.known[child];
            if self.map.is_otp(child) && fell(&groups(&chain)) && known.wanted == Sure::No && !known.goes {
                // A group that falls or waits begins anew with everybody that it has (L02).
                self.known[child].wanted = Sure::Maybe;
            }
            let known = &self.known[child];
            let otp = groups(&chain).iter().any(|group| self.map.tree.groups[*group].otp);
            if otp && fell(&groups(&chain)) && known.wanted == Sure::Yes && known.life.is_none() {
                // Who stood behind a failed restart and does so no more is not started (N03).
                self.known[child].wanted = Sure::Maybe;
            }
            if moved && (fell(&before) || fell(&groups(&chain))) {
                // What its group was about to do with it, it may do itself.
                (self.known[child].excused, self.known[child].over) = (true, false);
                self.known[child].done |= self.known[child].life.is_none();
                self.tally.forget(child);
            }
        }
        for child in self.map.living().filter(|child| self.known[*child].wanted != Sure::No) {
            // A group that was stopped is there again with whoever starts in it, or was moved into it.
            for group in self.map.around(child_node(child)) {
                if self.groups[group].down == Sure::Yes {
                    self.groups[group].down = Sure::Maybe;
                }
            }
        }
        for fall in &mut self.falls {
            // Who was moved away falls with others.
            let falls = |member: &Node, child: usize| {
                self.map.is_below(child, *member) && self.map.tree.groups[fall.group].members.contains(member)
            };
            fall.doomed.retain(|(child, _)| fall.members.iter().any(|member| falls(member, *child)));
            // Who comes back later does not.
            fall.members.retain(|member| self.map.tree.groups[fall.group].members.contains(member));
        }
        self.falls.retain(|fall| !fall.doomed.is_empty());
        self.prune();
        if self.rolls.iter().any(|roll| !roll.over) {
            // Whose turn comes now starts what it needs by the new tree.
            self.while_rolling();
        }
        match new.roll {
            None => self.check(lives.is_empty(), "whose execution changed is restarted"),
            Some(number) => {
                self.check(!revision.otp_rule, "N04: OTP's rule restarts nobody");
                let list: Vec<_> =
                    lives.iter().map(|child| mainstay::supervisor::spec::ChildId(*child as u32)).collect();
                self.rolls(&list, revision.at_once, number);
            }
        }
    }

    /// Before the new tree is looked at, whoever had left is a member again, and down; unless somebody else has
    /// its name.
    fn everybody_is_back(&mut self, supervisor: &Supervisor) -> Vec<Node> {
        let mut back = Vec::new();
        for group in 0..self.groups.len() {
            for node in self.groups[group].list.clone() {
                match node {
                    Node::Child(child) if self.known[child.0 as usize].left.is_some() => {
                        let taken = self.is_name_taken(child.0 as usize, group, supervisor);
                        self.is_back(node);
                        back.push(node);
                        let known = &mut self.known[child.0 as usize];
                        (known.wanted, known.done, known.may_go) = (Sure::No, false, true);
                        known.goes = taken;
                    }
                    Node::Group(inner) if self.groups[inner.0 as usize].left.is_some() => {
                        self.is_back(node);
                        back.push(node);
                        // It may have been dropped as a bystander (E09), and counts as done then.
                        let group = &mut self.groups[inner.0 as usize];
                        (group.fell, group.finished) = (true, true);
                    }
                    _ => {}
                }
            }
            let list = &self.groups[group].list;
            if list.iter().any(|node| back.contains(node)) {
                // In the order in which its group would begin anew.
                let members = &mut self.map.tree.groups[group].members;
                let listed = list.iter().filter(|node| members.contains(node));
                let others = members.iter().filter(|node| !list.contains(node));
                *members = listed.chain(others).copied().collect();
            }
        }
        back
    }

    /// Whether somebody else has the name of `child`, which left `group`. Whoever was added to that since gives way, if
    /// its life is over; of that, the answer tells.
    fn is_name_taken(&mut self, child: usize, group: usize, supervisor: &Supervisor) -> bool {
        let name = &self.map.tree.children[child].name;
        let Some(other) = self.map.named(name) else { return false };
        let policy = &self.map.tree.children[other];
        let extra = policy.group.0 as usize == group && self.known[other].life.is_none();
        let gone = extra
            && self.is_extra(other)
            && self.groups[group].fell
            && !supervisor.is_child(ChildId(other as u32));
        if gone {
            let known = &mut self.known[other];
            (known.goes, known.may_go, known.wanted) = (true, true, Sure::No);
        }
        !gone
    }

    /// Whose number is whose. Returns the new children, by index in the new tree.
    fn numbered(&mut self, revision: &Revision, new: &Reloaded) -> Vec<bool> {
        let fixed = revision.fixed.max(1);
        let named: Vec<(String, usize)> = (0..self.groups.len())
            .filter(|group| self.map.groups[*group])
            .map(|group| (self.map.tree.groups[group].name.clone(), group))
            .collect();
        let mut next = self.groups.len();
        for (at, policy) in revision.tree.groups.iter().enumerate() {
            let known = named.iter().find(|(name, _)| *name == policy.name).map(|(_, group)| *group);
            let expected = if at < fixed { Some(at) } else { known };
            let number = new.groups[at].0 as usize;
            match expected {
                Some(expected) => self.check(number == expected, "a group that stays keeps its number"),
                None => {
                    let free = self.free_groups.iter().position(|free| *free == number);
                    match free {
                        Some(place) => drop(self.free_groups.swap_remove(place)),
                        None => {
                            self.check(number == next, "numbers of groups are used one after the other");
                            self.check(self.free_groups.is_empty(), "no new number while an old one is free");
                            next += 1;
                        }
                    }
                }
            }
        }
        for group in new.groups.iter().map(|group| group.0 as usize) {
            if self.groups.get(group).is_some_and(|_| !self.map.groups[group]) {
                self.tally.no_group(group);
            }
        }
        if next > self.groups.len() {
            self.map.reserve_group(next - 1);
            self.groups.resize(next, Default::default());
            self.tally.reserve(self.known.len(), next);
        }
        let mut made = Vec::new();
        for (at, policy) in revision.tree.children.iter().enumerate() {
            let known = self.map.living().find(|child| {
                self.map.tree.children[*child].name == policy.name && !self.replaced_by_name(*child)
            });
            let number = new.children[at];
            match known {
                Some(known) => {
                    self.check(number.0 as usize == known, "who stays keeps its number");
                    made.push(false);
                }
                None => {
                    self.take_number(number);
                    made.push(true);
                }
            }
        }
        made
    }

    /// Whether somebody else took its name while it was away.
    fn replaced_by_name(&self, child: usize) -> bool {
        let name = &self.map.tree.children[child].name;
        let others = self.map.living().filter(|other| self.map.tree.children[*other].name == *name).count();
        others > 1 && self.known[child].goes && self.known[child].may_go
    }

    fn new_policies(&mut self, revision: &Revision, new: &Reloaded, made: &[bool]) {
        let here = |node: &Node| match *node {
            Node::Child(child) => Node::Child(new.children[child.0 as usize]),
            Node::Group(group) => Node::Group(new.groups[group.0 as usize]),
        };
        for (at, policy) in revision.tree.groups.iter().enumerate() {
            let group = new.groups[at].0 as usize;
            let mut policy = policy.clone();
            policy.parent = policy.parent.map(|parent| new.groups[parent.0 as usize]);
            policy.members = policy.members.iter().map(here).collect();
            policy.after = policy.after.iter().map(here).collect();
            (self.groups[group].goes, self.groups[group].kept) = (false, false);
            self.map.groups[group] = true;
            let old = &self.map.tree.groups[group];
            if old.intensity != policy.intensity || old.whole_seconds != policy.whole_seconds {
                self.tally.forget_group(group);
            }
            if old.restart == Restart::Permanent && policy.restart != Restart::Permanent {
                // If it is on its way down because its work is done, it stays there.
                self.groups[group].finished |= self.groups[group].fell;
            }
            self.map.tree.groups[group] = policy;
        }
        for (at, policy) in revision.tree.children.iter().enumerate() {
            let child = new.children[at].0 as usize;
            let group = new.groups[policy.group.0 as usize];
            let policy = Child { group, needs: policy.needs.iter().map(here).collect(), ..policy.clone() };
            let otp = revision.otp_rule || self.map.tree.groups[group.0 as usize].otp;
            let up = policy.autostart && !otp;
            if self.map.tree.children[child].limit != policy.limit
                || self.map.tree.children[child].group != policy.group
            {
                self.tally.forget(child);
            }
            self.map.tree.children[child] = policy;
            self.map.children[child] = true;
            let around = self.map.around(group_node(group.0 as usize));
            let known = &mut self.known[child];
            known.kept = false;
            if made[at] {
                // A group that falls or waits begins anew with everybody that it has.
                let anew = otp && around.iter().any(|group| self.groups[*group].fell);
                known.wanted = if anew { Sure::Maybe } else { up.into() };
                known.tried |= !up;
            } else if std::mem::take(&mut known.goes) {
                // Whatever failed for the first time is in the file now, and has been there.
                known.fresh = false;
                known.wanted = if up { Sure::Yes } else { known.wanted };
            }
            known.may_go = known.fresh && known.may_go;
            known.tried |= known.wanted == Sure::No && known.life.is_none();
        }
    }

    /// What the new tree does not have goes, unless OTP's rule keeps it (N05). Who was added by hand, or kept before,
    /// stays as long as its group does.
    fn go_away(
        &mut self,
        revision: &Revision,
        known: &[Node],
        members: &[Vec<Node>],
        back: &[Node],
        supervisor: &Supervisor,
    ) {
        let tops = (0..members.len()).filter(|group| {
            let inside = members.iter().flatten().any(|member| *member == group_node(*group));
            !inside && self.map.groups[*group]
        });
        let mut asleep = Vec::new();
        let mut todo: Vec<usize> = tops.collect();
        while let Some(group) = todo.pop() {
            let goes = self.groups[group].goes;
            // A group that is down begins its next life with the new list.
            let lives = |child: usize| self.known[child].life.is_some();
            let below = members[group].iter().flat_map(|member| below(members, *member));
            let idle = known.contains(&group_node(group)) && !below.into_iter().any(lives);
            let otp = revision.otp_rule || self.map.tree.groups[group].otp;
            for member in members[group].iter().filter(|member| !known.contains(member)) {
                let back = back.contains(member);
                if back && !goes && !known.contains(&group_node(group)) {
                    // It leaves again, with all that is in it and the list of its group as it was.
                    asleep.push(*member);
                    continue;
                }
                let goes = goes || back;
                match *member {
                    Node::Group(inner) => {
                        let gone = idle && !supervisor.groups().any(|there| there == inner);
                        self.groups[inner.0 as usize].goes |= goes || !otp || gone;
                        self.groups[inner.0 as usize].kept = true;
                    }
                    Node::Child(child) => {
                        let at = child.0 as usize;
                        if goes || !(otp || self.is_extra(at)) {
                            let known = &mut self.known[at];
                            (known.goes, known.wanted) = (true, Sure::No);
                            (known.may_go, known.excused, known.done) = (true, true, false);
                        } else if known.contains(&group_node(group)) {
                            // Its group begins its next life without it (L02).
                            self.known[at].kept = !self.map.tree.children[at].added;
                            self.known[at].may_go |= idle;
                        }
                    }
                }
            }
            todo.extend(members[group].iter().filter(|member| !asleep.contains(member)).filter_map(
                |member| match member {
                    Node::Group(inner) => Some(inner.0 as usize),
                    Node::Child(_) => None,
                },
            ));
        }
    }

    /// The order of the new tree, then those that are kept, in the order that they had (N06).
    fn new_members(&mut self, _revision: &Revision, new: &Reloaded, known: &[Node], members: Vec<Vec<Node>>) {
        for (group, members) in members.into_iter().enumerate() {
            let kept: Vec<Node> = members.into_iter().filter(|member| !known.contains(member)).collect();
            let policy = &mut self.map.tree.groups[group];
            if !new.groups.contains(&GroupId(group as u32)) {
                policy.members.clear();
            }
            policy.members.extend(kept);
        }
    }
}

fn known_nodes(new: &Reloaded) -> Vec<Node> {
    let groups = new.groups.iter().map(|group| Node::Group(*group));
    new.children.iter().map(|child| Node::Child(*child)).chain(groups).collect()
}

/// The children below `node` in these members.
fn below(members: &[Vec<Node>], node: Node) -> Vec<usize> {
    match node {
        Node::Child(child) => vec![child.0 as usize],
        Node::Group(group) => {
            members[group.0 as usize].iter().flat_map(|member| below(members, *member)).collect()
        }
    }
}
