//! Full disks, and boxes that lie.

use crate::disk::{fill, with_small_disk};
use crate::rig::{Home, Service, settings};
use mainstay::blackbox::layout::{BYTES, EVENT_HEAD, FINISHED_HEAD};
use mainstay::ipc::builtin::FromTelemetry;
use mainstay::telemetry::Settings;
use std::os::fd::AsFd;

#[test]
fn on_a_full_disk_records_wait_in_their_boxes_and_what_is_lost_is_counted() {
    with_small_disk(
        "unwell::on_a_full_disk_records_wait_in_their_boxes_and_what_is_lost_is_counted",
        1 << 20,
        |disk| {
            let home = Home::inside(disk, &Settings { batch_size: 64, ..settings() });
            let web = Service::new(&home, 1, "web");
            let life = home.start(&[&web]);
            web.event("before");
            home.await_arrived("the disk has room", |arrived| arrived.of("web") == 1);
            fill(&disk.join("ballast"));
            for n in 0..50 {
                web.event(&format!("small {n}"));
            }
            home.await_said("it is said", |said| {
            matches!(said, FromTelemetry::Trouble { message } if message.contains("telemetry cannot write"))
        });
            (0..3000).for_each(|n| web.event(&format!("{n}")));
            std::fs::remove_file(disk.join("ballast")).unwrap();
            home.await_arrived("there is room again", |arrived| arrived.of("web") > 100);
            // Told in the file, which wakes who waits for it: how a box stands wakes nobody.
            let all = 1 + 50 + 3000;
            home.await_arrived("all is told", |arrived| arrived.of("web") + arrived.gone() >= all);
            life.end();
            let arrived = home.arrived();
            assert_eq!(arrived.of("web") + arrived.gone(), all, "{:?}", arrived.last.totals);
            // The batch that could not be written, and a whole ring.
            assert!(arrived.of("web") > 1024, "{}", arrived.of("web"));
            assert!(arrived.doubled().is_empty(), "{:?}", arrived.doubled());
        },
    );
}

fn write(of: &Service, bytes: &[u8], at: u64) {
    let written = rustix::io::pwrite(of.memory.as_fd(), bytes, at).unwrap();
    assert_eq!(written, bytes.len());
}

#[test]
fn a_box_that_lies_harms_nobody_but_its_own_service() {
    let home = Home::new(&settings());
    let (liar, honest) = (Service::new(&home, 1, "liar"), Service::new(&home, 2, "honest"));
    let life = home.start(&[&liar, &honest]);
    // Numbers that are not random, so that a failure happens again.
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        seed = mainstay::flags::mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15));
        seed
    };
    for round in 0..30u64 {
        match round % 5 {
            0 => {
                let garbage: Vec<u8> = (0..BYTES / 8).flat_map(|_| next().to_le_bytes()).collect();
                write(&liar, &garbage, 0);
            }
            1 => [EVENT_HEAD, FINISHED_HEAD]
                .into_iter()
                .for_each(|cell| write(&liar, &u64::MAX.to_le_bytes(), cell as u64 * 8)),
            2 => write(&liar, &vec![0; BYTES], 0),
            3 => write(&liar, &vec![0xff; BYTES], 0),
            _ => (0..1000).for_each(|_| {
                let (cell, word) = (next() % (BYTES as u64 / 8), next());
                write(&liar, &word.to_le_bytes(), cell * 8);
            }),
        }
        // It is looked at, whatever its bell says.
        home.ring_for("liar");
        honest.event(&format!("honest {round}"));
        let arrived =
            home.await_arrived("the honest one is heard", |arrived| arrived.of("honest") == round + 1);
        assert_eq!(arrived.doubled().iter().filter(|(of, _)| of == "honest").count(), 0);
    }
    let memory = mainstay::sys::procfs::usage(life.id()).unwrap().1;
    assert!(memory < 64 << 20, "{memory} bytes");
    life.end();
}
