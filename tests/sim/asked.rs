//! What is asked of the core: commands, OTP's calls, rolling restarts. The judge knows itself which calls must be
//! refused, and what follows from those that are taken.

use crate::judge::Judge;
use crate::known::{Known, Roll, Sure};
use crate::map::{child as child_node, group as group_node};
use mainstay::supervisor::spec::{AutoShutdown, Child, ChildId, GroupId, Incarnation, Node, Restart};
use mainstay::supervisor::{Change, Command, Flaw, Refused, Standing, Supervisor};

impl Judge {
    pub(crate) fn commanded(&mut self, command: Command) {
        match command {
            Command::Start(node) if self.is_here(node) => self.wanted_up(node),
            Command::Restart(node) if self.is_here(node) => self.restarted(node),
            Command::Stop(node) if self.is_here(node) => self.wanted_down(node),
            Command::Fresh(node) if self.is_here(node) => self.pardoned(node),
            Command::Start(_) | Command::Stop(_) | Command::Restart(_) | Command::Fresh(_) => {}
            Command::Shutdown | Command::Hurry => self.ending = true,
        }
    }

    /// Whether it is in the tree, and not in a group that left.
    fn is_here(&self, node: Node) -> bool {
        let left = |group: &usize| self.groups[*group].left.is_some();
        self.map.is_there(node) && !self.map.around(node).iter().any(left)
    }

    /// Somebody wants `node` up, with all that it needs.
    pub(crate) fn wanted_up(&mut self, node: Node) {
        self.commanded = true;
        let (children, nodes) = self.map.closure(node);
        self.revived(&nodes);
        for need in self.needs_of_those_who_left(&nodes) {
            self.maybe_started(need, false);
        }
        // Who goes when its group begins anew takes its needs along.
        let goes = |child: &usize| {
            let fell = || self.map.around(child_node(*child)).iter().any(|group| self.groups[*group].fell);
            let anew = self.is_extra(*child) && self.map.is_otp(*child) && fell();
            self.known[*child].may_go || anew
        };
        let may_go = children.iter().any(goes);
        for child in children {
            let known = &mut self.known[child];
            if !known.goes {
                let stays = known.wanted == Sure::Yes || !may_go;
                known.wanted = if known.may_go || !stays { Sure::Maybe } else { Sure::Yes };
                // Who is asked for only by one that goes keeps what it has done.
                (known.over, known.done) = (false, known.done && may_go);
            }
            self.tally.forget(child);
        }
        for node in nodes {
            let inside = match node {
                Node::Group(group) => self.map.inner(group.0 as usize),
                Node::Child(_) => Vec::new(),
            };
            for group in self.map.around(node).into_iter().chain(inside) {
                self.groups[group].down = Sure::No;
            }
        }
    }

    /// Who left a group comes back when it begins anew, and what it needs is started too.
    fn needs_of_those_who_left(&self, nodes: &[Node]) -> Vec<Node> {
        let mut needs = Vec::new();
        for node in nodes {
            let Node::Group(group) = node else { continue };
            let mut todo = self.map.inner(group.0 as usize);
            while let Some(inner) = todo.pop() {
                let left = |node: &&Node| match node {
                    Node::Child(child) => self.known[child.0 as usize].left.is_some(),
                    Node::Group(group) => self.groups[group.0 as usize].left.is_some(),
                };
                let list: Vec<Node> = self.groups[inner].list.iter().filter(left).copied().collect();
                for node in &list {
                    if let Node::Group(group) = node {
                        todo.extend(self.map.inner(group.0 as usize));
                    }
                }
                for child in list.into_iter().flat_map(|node| self.map.below(node)) {
                    let needed = &self.map.tree.children[child].needs;
                    needs.extend(needed.iter().filter(|need| self.is_here(**need)));
                }
            }
        }
        needs
    }

    /// Groups around these nodes, and in them, that are down or wait begin anew.
    fn revived(&mut self, nodes: &[Node]) {
        for node in nodes {
            let inside = match node {
                Node::Group(group) => self.map.inner(group.0 as usize),
                Node::Child(_) => Vec::new(),
            };
            for group in self.map.around(*node).into_iter().chain(inside) {
                if self.groups[group].down == Sure::Yes {
                    // It begins anew at once, whoever of it is still on the way down.
                    let inner = self.map.inner(group);
                    self.falls.retain(|fall| !inner.contains(&fall.group));
                }
                if self.groups[group].fell || self.groups[group].down != Sure::No {
                    self.group_moves(group);
                    for child in self.map.below(group_node(group)) {
                        self.tally.forget(child);
                    }
                }
                self.tally.forget_group(group);
            }
        }
    }

    /// A cause of failures was taken away: below `node` nobody waits, and no limit above it is used up.
    fn pardoned(&mut self, node: Node) {
        self.commanded = true;
        self.revived(&[node]);
        let inside = match node {
            Node::Group(group) => self.map.inner(group.0 as usize),
            Node::Child(_) => Vec::new(),
        };
        for group in self.map.around(node).into_iter().chain(inside) {
            if self.groups[group].down == Sure::Yes {
                self.groups[group].down = Sure::Maybe;
            }
        }
        for child in self.map.below(node) {
            self.tally.forget(child);
        }
    }

    fn restarted(&mut self, node: Node) {
        let below = self.map.below(node);
        if matches!(node, Node::Child(_)) || below.iter().all(|child| self.known[*child].wanted == Sure::No) {
            self.excuse(node);
            self.wanted_up(node);
            return;
        }
        let certain = below.iter().any(|child| self.known[*child].wanted == Sure::Yes);
        self.maybe_started(node, certain);
        self.excuse(node);
        if let Node::Group(group) = node {
            self.group_moves(group.0 as usize);
            for child in below {
                self.known[child].over = false;
                self.tally.forget(child);
            }
            for group in self.map.around(node) {
                self.groups[group].down = Sure::Maybe;
                self.groups[group].fell = true;
            }
        }
    }

    /// Who is below `node`, and what that needs, may be wanted up from now on. `certain`: whoever is down stays so.
    fn maybe_started(&mut self, node: Node, certain: bool) {
        self.commanded = true;
        let (mut children, mut nodes) = self.map.closure(node);
        for need in self.needs_of_those_who_left(&nodes) {
            let (others, more) = self.map.closure(need);
            children.extend(others);
            nodes.extend(more);
        }
        self.revived(&nodes);
        for child in children {
            let known = &mut self.known[child];
            if known.wanted == Sure::No && !known.goes && !certain {
                known.wanted = Sure::Maybe;
            }
            known.over = false;
            self.tally.forget(child);
        }
        for group in nodes.into_iter().flat_map(|node| self.map.around(node)) {
            if self.groups[group].down == Sure::Yes {
                self.groups[group].down = Sure::Maybe;
            }
        }
    }

    pub(crate) fn wanted_down(&mut self, node: Node) {
        self.commanded = true;
        // J02: who waits behind it stays down too.
        if let Some(group) = self.map.parent(node).filter(|group| self.map.tree.groups[*group].otp) {
            for child in self.map.below(group_node(group)) {
                if self.known[child].wanted == Sure::Yes {
                    self.known[child].wanted = Sure::Maybe;
                }
            }
        }
        let below = self.map.below(node);
        let fell = |child: &usize| {
            self.map.is_otp(*child)
                && self.map.around(child_node(*child)).iter().any(|group| self.groups[*group].fell)
        };
        let otp: Vec<usize> = below.iter().copied().filter(fell).collect();
        for child in below {
            let rolls = self.rolls.iter().any(|roll| !roll.over);
            let known = &mut self.known[child];
            // Its group may be about to begin anew, without a report; or a roll starts it again.
            let anew = otp.contains(&child);
            known.wanted = if (rolls || anew) && !known.goes { Sure::Maybe } else { Sure::No };
            (known.excused, known.done) = (true, false);
            self.tally.pause(child);
        }
        if let Node::Group(group) = node {
            let rolls = self.rolls.iter().any(|roll| !roll.over);
            for inner in self.map.inner(group.0 as usize) {
                self.groups[inner].down = if rolls { Sure::Maybe } else { Sure::Yes };
                self.groups[inner].fell = true;
            }
        }
    }

    /// Whether there is no supervisor for members of `group`.
    fn is_down(&self, group: usize) -> Sure {
        let around = self.map.around(group_node(group));
        let has = |sure: Sure| around.iter().any(|group| self.groups[*group].down == sure);
        let gone = around.iter().any(|group| self.groups[*group].goes || self.groups[*group].left.is_some());
        match (gone || has(Sure::Yes), has(Sure::Maybe)) {
            (true, _) => Sure::Yes,
            (_, true) => Sure::Maybe,
            _ => Sure::No,
        }
    }

    /// Judges the answer to a call; its actions come afterwards.
    pub(crate) fn changed(
        &mut self,
        change: &Change,
        answer: &Result<Node, Refused>,
        supervisor: &Supervisor,
    ) {
        let (must, may) = self.refusals(change, supervisor);
        match answer {
            Err(refused) => {
                let known = must.contains(refused) || may.contains(refused);
                self.check(known, format!("C: refused with {refused:?}, not {must:?} or perhaps {may:?}"));
            }
            Ok(node) => {
                self.check(
                    must.is_empty(),
                    format!("C: {node:?} was taken, and had to be refused: {must:?}"),
                );
                match change {
                    Change::StartChild(policy) => self.added(policy, *node),
                    Change::Terminate(node) => self.wanted_down(*node),
                    Change::RestartChild(node) => self.wanted_up(*node),
                    Change::DeleteChild(child) => {
                        self.commanded = true;
                        let known = &mut self.known[child.0 as usize];
                        (known.goes, known.may_go, known.wanted) = (true, true, Sure::No);
                    }
                }
            }
        }
    }

    /// Why a call must be refused, and why it may be.
    fn refusals(&self, change: &Change, supervisor: &Supervisor) -> (Vec<Refused>, Vec<Refused>) {
        let (mut must, mut may) = (Vec::new(), Vec::new());
        if self.ending {
            return (vec![Refused::Ending], may);
        }
        match change {
            Change::StartChild(policy) => {
                if !self.map.is_there(Node::Group(policy.group)) {
                    must.push(Refused::NotFound);
                } else {
                    self.group_down(policy.group.0 as usize, supervisor, &mut must, &mut may);
                    self.bad_spec(policy, &mut must);
                }
                if let Some(there) = self.map.named(&policy.name) {
                    let id = ChildId(there as u32);
                    let runs = self.known[there].life.is_some();
                    must.push(if runs { Refused::AlreadyStarted(id) } else { Refused::AlreadyPresent(id) });
                }
            }
            Change::Terminate(node) => self.call(*node, supervisor, &mut must, &mut may),
            Change::RestartChild(node) => {
                self.call(*node, supervisor, &mut must, &mut may);
                self.standing(*node, supervisor, &mut must, &mut may);
            }
            Change::DeleteChild(child) => {
                self.call(Node::Child(*child), supervisor, &mut must, &mut may);
                self.standing(Node::Child(*child), supervisor, &mut must, &mut may);
            }
        }
        (must, may)
    }

    fn group_down(
        &self,
        group: usize,
        supervisor: &Supervisor,
        must: &mut Vec<Refused>,
        may: &mut Vec<Refused>,
    ) {
        let around = self.map.around(group_node(group));
        let shown = around.iter().any(|group| supervisor.standing(group_node(*group)) != Standing::Running);
        match self.is_down(group) {
            Sure::Yes => must.push(Refused::GroupDown),
            _ if shown => must.push(Refused::GroupDown),
            Sure::Maybe => may.push(Refused::GroupDown),
            Sure::No => {}
        }
    }

    fn bad_spec(&self, policy: &Child, must: &mut Vec<Refused>) {
        let group = &self.map.tree.groups[policy.group.0 as usize];
        if policy.significant {
            let flaws = [
                (group.pool.is_some(), Flaw::SignificantInPool),
                (policy.restart == Restart::Permanent, Flaw::SignificantPermanent),
                (group.auto_shutdown == AutoShutdown::Never, Flaw::SignificantWithoutAutoShutdown),
            ];
            must.extend(flaws.into_iter().filter(|(is, _)| *is).map(|(_, flaw)| Refused::BadSpec(flaw)));
        }
        if policy.needs.iter().any(|need| !self.map.is_there(*need)) {
            must.push(Refused::BadSpec(Flaw::Broken));
        }
        let full = |max: u32| group.members.len() >= max as usize;
        let max = group.pool.and_then(|pool| pool.max_children).filter(|max| full(*max));
        must.extend(max.map(Refused::MaxChildren));
    }

    fn call(&self, node: Node, supervisor: &Supervisor, must: &mut Vec<Refused>, may: &mut Vec<Refused>) {
        if !self.map.is_there(node) {
            must.push(Refused::NotFound);
        } else if let Some(parent) = self.map.parent(node) {
            self.group_down(parent, supervisor, must, may);
        }
    }

    fn standing(&self, node: Node, supervisor: &Supervisor, must: &mut Vec<Refused>, may: &mut Vec<Refused>) {
        if !self.map.is_there(node) {
            return;
        }
        let parent = self.map.parent(node);
        if parent.is_some_and(|parent| self.map.tree.groups[parent].pool.is_some()) {
            must.push(Refused::Pool);
        }
        let runs = self.map.below(node).into_iter().any(|child| self.known[child].life.is_some());
        match (node, supervisor.standing(node)) {
            (Node::Child(_), _) if runs => must.push(Refused::Running),
            (_, Standing::Restarting) => may.push(Refused::Restarting),
            (Node::Group(_), Standing::Running) => may.push(Refused::Running),
            _ => {}
        }
        if runs && matches!(node, Node::Group(_)) && self.groups_are_fine(node) {
            must.push(Refused::Running);
        }
    }

    /// Whether the group is there for sure: nothing ever happened to it.
    fn groups_are_fine(&self, node: Node) -> bool {
        self.map.around(node).iter().all(|group| !self.groups[*group].fell)
    }

    /// There is a new child.
    fn added(&mut self, policy: &Child, node: Node) {
        let Node::Child(id) = node else {
            self.check(false, "C12: a new child is a child");
            return;
        };
        self.take_number(id);
        let policy = Child { added: true, ..policy.clone() };
        let lists: Vec<Vec<Node>> = self.groups.iter().map(|group| group.list.clone()).collect();
        self.map.add(id.0 as usize, policy, &lists);
        (self.known[id.0 as usize].fresh, self.known[id.0 as usize].tried) = (true, true);
        self.wanted_up(node);
    }

    /// A new child gets this number: one that was given back, or the next.
    pub(crate) fn take_number(&mut self, id: ChildId) {
        let at = id.0 as usize;
        if let Some(place) = self.free.iter().position(|free| *free == at) {
            self.free.swap_remove(place);
        } else {
            self.check(self.free.is_empty(), "no new number is used while an old one is free");
            self.check(at == self.known.len(), "numbers are used one after the other");
            self.known.push(Known::default());
            self.map.reserve_child(at);
        }
        self.serial += 1;
        self.known[at] = Known { serial: self.serial, past: self.known[at].past, ..Known::default() };
        self.tally.reserve(self.known.len(), self.groups.len());
    }

    /// A rolling restart was asked for.
    pub(crate) fn rolls(&mut self, list: &[ChildId], at_once: u32, number: u32) {
        let new = self.rolls.iter().all(|roll| roll.number != number);
        self.check(new, "each roll has a number of its own");
        let lives = |child: &ChildId| {
            let known = self.known.get(child.0 as usize)?;
            let life = known.life.as_ref().map(|life| life.number);
            Some((child.0 as usize, known.serial, life))
        };
        self.rolls.push(Roll {
            number,
            members: list.iter().map(|child| child.0 as usize).filter(|at| *at < self.known.len()).collect(),
            waiting: list.iter().filter_map(lives).collect(),
            away: Vec::new(),
            at_once: at_once.max(1) as usize,
            over: false,
        });
        self.while_rolling();
    }

    /// Who has yet to be rolled is started, with what it needs, at a moment that cannot be seen.
    pub(crate) fn while_rolling(&mut self) {
        let waiting = self.rolls.iter().filter(|roll| !roll.over).flat_map(|roll| &roll.waiting);
        let nodes: Vec<usize> = waiting.map(|(child, ..)| *child).collect();
        for child in nodes.into_iter().filter(|child| self.map.children[*child]).collect::<Vec<_>>() {
            self.known[child].bounced = true;
            self.maybe_started(child_node(child), false);
        }
    }

    /// Whether the present life of `child` may end because of a roll; then it is away.
    pub(crate) fn is_rolled(&mut self, child: usize) -> bool {
        let serial = self.known[child].serial;
        let waits = |roll: &&Roll| {
            !roll.over && roll.waiting.iter().any(|(who, whose, _)| *who == child && *whose == serial)
        };
        if self.rolls.iter().filter(waits).count() > 1 {
            // Whose turn it is cannot be seen.
            return true;
        }
        self.who_is_back();
        for at in 0..self.rolls.len() {
            let roll = &mut self.rolls[at];
            let place = roll.waiting.iter().position(|(who, whose, _)| *who == child && *whose == serial);
            if let Some(place) = place.filter(|_| !roll.over && roll.away.len() < roll.at_once) {
                let (who, whose, _) = roll.waiting.swap_remove(place);
                roll.away.push((who, whose, self.known[child].newest));
                return true;
            }
        }
        false
    }

    /// Takes note of those that came back.
    pub(crate) fn who_is_back(&mut self) {
        for at in 0..self.rolls.len() {
            let mut roll = std::mem::take(&mut self.rolls[at].away);
            roll.retain(|away| self.is_away(*away));
            self.rolls[at].away = roll;
        }
    }

    /// Whether it has not come back, and somebody waits for that.
    fn is_away(&self, (child, serial, before): (usize, u64, Incarnation)) -> bool {
        let known = &self.known[child];
        let same = known.serial == serial && self.map.children[child];
        let begun = known.newest > before;
        let failed = known.life.as_ref().is_none_or(|life| life.exited || life.leaves());
        same && known.wanted == Sure::Yes && !(begun && (self.is_up(child) || failed))
    }

    /// A roll is over.
    pub(crate) fn rolled(&mut self, number: u32, done: u32, failed: Option<ChildId>) {
        let Some(at) = self.rolls.iter().position(|roll| roll.number == number && !roll.over) else {
            self.check(false, "a roll that is over was begun, and ends once");
            return;
        };
        self.rolls[at].over = true;
        for (child, serial, _) in self.rolls[at].waiting.clone() {
            let known = &mut self.known[child];
            if known.serial == serial {
                known.late = known.life.as_ref().map(|life| life.number);
            }
        }
        self.check(done as usize <= self.rolls[at].members.len(), "a roll restarts no more than its members");
        let others = self.rolls.iter().any(|roll| !roll.over);
        if self.ending || failed.is_some() || others {
            return;
        }
        for (child, serial, before) in self.rolls[at].waiting.clone() {
            let known = &self.known[child];
            let same = self.map.children[child] && known.serial == serial;
            let leaves = known.life.as_ref().is_none_or(|life| life.exited || life.leaves());
            let asked = known.excused || self.is_doomed(child) || known.wanted != Sure::Yes;
            let late = known.life.as_ref().is_some_and(|life| known.late == Some(life.number));
            let fine = !same || leaves || asked || late || before.is_none_or(|before| known.newest > before);
            self.check(fine, "a roll that is over has restarted all that run");
        }
    }

    /// What each group with OTP semantics begins a new life with.
    pub(crate) fn declare(&mut self) {
        for group in 0..self.groups.len() {
            if self.groups[group].kept {
                // It goes on with its own, but for those who were moved away.
                let mut list = std::mem::take(&mut self.groups[group].list);
                let there = &self.map.tree.groups[group].members;
                let left = |node: &Node| match node {
                    Node::Child(child) => self.known[child.0 as usize].left.is_some(),
                    Node::Group(inner) => self.groups[inner.0 as usize].left.is_some(),
                };
                list.retain(|node| there.contains(node) || left(node));
                self.groups[group].list = list;
                continue;
            }
            let tree = &self.map.tree;
            let declared = |node: &&Node| match node {
                Node::Child(child) => !self.is_extra(child.0 as usize),
                Node::Group(_) => true,
            };
            let kept = |node: &&Node| match node {
                Node::Group(inner) => !self.groups[inner.0 as usize].kept,
                Node::Child(_) => true,
            };
            let list = tree.groups[group].members.iter().filter(declared).filter(kept).copied();
            self.groups[group].list = if tree.groups[group].otp { list.collect() } else { Vec::new() };
        }
    }

    /// Something is done to a child that had left, or is in a group that had: the group around it began anew.
    pub(crate) fn come_back(&mut self, child: usize, supervisor: &Supervisor) {
        if let Some(group) = self.known.get(child).and_then(|known| known.left) {
            self.begins_anew(group, supervisor);
            // Also when it leaves again in this step.
            self.is_back(child_node(child));
        }
        let mut around = self.map.tree.children.get(child).map(|policy| policy.group);
        while let Some(group) = around {
            if let Some(parent) = self.groups[group.0 as usize].left {
                self.begins_anew(parent, supervisor);
            }
            around = self.map.tree.groups[group.0 as usize].parent;
        }
    }

    /// Nothing is done to a group without children that comes back; but it counts at once.
    pub(crate) fn empty_groups_are_back(&mut self, supervisor: &Supervisor) {
        for group in supervisor.groups() {
            let at = group.0 as usize;
            if let Some(parent) = self.groups.get(at).and_then(|known| known.left)
                && self.map.below(group_node(at)).is_empty()
            {
                self.begins_anew(parent, supervisor);
            }
        }
    }

    /// Whoever had left `group` is a member again, in the order of its list (L02).
    pub(crate) fn begins_anew(&mut self, group: GroupId, supervisor: &Supervisor) {
        let at = group.0 as usize;
        self.check(self.map.tree.groups[at].otp, "only under OTP semantics who left comes back");
        let fell = self.map.around(group_node(at)).iter().any(|group| self.groups[*group].fell);
        self.check(fell, "who left comes back only when its group begins anew");
        let list = self.groups[at].list.clone();
        for node in &list {
            // Unless it has left again since.
            let there = match node {
                Node::Child(child) => supervisor.is_child(*child),
                Node::Group(inner) => supervisor.groups().any(|there| there == *inner),
            };
            if there {
                self.is_back(*node);
            }
        }
        let members = std::mem::take(&mut self.map.tree.groups[at].members);
        let listed = list.iter().filter(|node| members.contains(node));
        let others = members.iter().filter(|node| !list.contains(node));
        self.map.tree.groups[at].members = listed.chain(others).copied().collect();
    }

    /// It is a member again, if it had left.
    pub(crate) fn is_back(&mut self, node: Node) {
        match node {
            Node::Child(child) => {
                let known = &mut self.known[child.0 as usize];
                if known.left.take().is_none() {
                    return;
                }
                (known.wanted, known.over, known.done) = (Sure::Maybe, false, true);
            }
            Node::Group(group) => {
                if self.groups[group.0 as usize].left.take().is_none() {
                    return;
                }
                self.groups[group.0 as usize].down = Sure::Maybe;
                for child in self.map.below(node) {
                    let known = &mut self.known[child];
                    if known.wanted == Sure::No && !known.goes {
                        known.wanted = Sure::Maybe;
                    }
                }
            }
        }
        self.map.set_there(node, true);
        let Some(parent) = self.map.parent(node) else { return };
        self.map.tree.groups[parent].members.push(node);
    }

    /// Groups that are no longer wanted go with their last member.
    pub(crate) fn prune(&mut self) {
        loop {
            let empty = |group: &usize| {
                self.groups[*group].goes
                    && self.map.groups[*group]
                    && self.map.tree.groups[*group].members.is_empty()
            };
            let Some(group) = (0..self.groups.len()).find(empty) else { return };
            self.map.remove(group_node(group));
            self.groups[group] = crate::known::KnownGroup::default();
            for other in &mut self.groups {
                other.list.retain(|member| *member != group_node(group));
            }
        }
    }
}
