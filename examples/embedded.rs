//! A tree in code, inside of this process: one service dies and comes back, children are added, everything stops.

use mainstay::embed::*;
use std::time::Duration;

fn main() -> Result<(), Error> {
    enter(); // mainstay's own processes are this program, too

    let db =
        Service::new("db", ["sh", "-c", "echo serving; exec sleep 1000"]).ready(Ready::output("serving"));
    let web = Service::new("web", ["sleep", "1000"]).instances(2).needs_service("db");
    let job = Template::new("job", ["sleep"]).restart(Restart::Temporary).grace(Grace::Kill);
    let tree = Tree::new("embedded")
        .runtime_dir("run")
        .state_dir("state")
        .add(db)
        .add(
            Group::new("app")
                .strategy(Strategy::OneForAll)
                .intensity(3)
                .period(Duration::from_secs(10))
                .add(web),
        )
        .add(Pool::new("jobs", job).max_children(2));
    let running = tree.spawn()?;
    let handle = running.handle();
    wait_for(&handle, 0, |event| matches!(event.what, What::AllUp { .. }))?;

    let killed = handle.kill(["db"], Signal::KILL)?;
    let back = wait_for(&handle, killed.cursor, |event| matches!(event.what, What::Ready { .. }))?;
    println!("{} is back, in life {}", back.instance, back.incarnation);

    for seconds in ["1000", "2000"] {
        let job = handle.start_child(&NewChild::in_pool("jobs").args([seconds]))?;
        println!("{} was added", job.acted[0].instance);
    }
    if let Err(refused) = handle.start_child(&NewChild::in_pool("jobs").args(["3000"])) {
        println!("{refused}");
    }
    println!("{} jobs run", handle.count("jobs")?.active);
    println!("{:?}", running.shutdown()?);
    Ok(())
}

/// The first event after `cursor` that is meant.
fn wait_for(handle: &Handle, cursor: u64, meant: impl Fn(&Event) -> bool) -> Result<Event, Error> {
    let mut events = handle.events(cursor)?.within(Duration::from_secs(30));
    events.find(|event| event.as_ref().map_or(true, &meant)).unwrap_or(Err(Error::Ended))
}
