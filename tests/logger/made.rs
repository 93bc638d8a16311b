//! Services that are made up: words of every length and with every byte, and deaths.

use mainstay::ipc::builtin::Death;

/// Bytes that follow from `seed`: lines of every length, binary, some very long.
pub struct Babble(pub u64);

impl Babble {
    pub fn next(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub fn piece(&mut self) -> Vec<u8> {
        let length = match self.next() % 100 {
            0 => 20_000 + self.next() % 90_000,
            1..10 => 4096,
            10..40 => 1 + self.next() % 4,
            _ => 1 + self.next() % 200,
        };
        let newline = 20 + self.next() % 100;
        (0..length)
            .map(|_| match self.next() {
                n if n % newline == 0 => b'\n',
                n => (n >> 8) as u8,
            })
            .collect()
    }
}

pub fn death(child: u32, seq: u64, crash: u64, incarnation: u64) -> Death {
    Death {
        seq,
        crash,
        child,
        service: "web".into(),
        instance: "web".into(),
        incarnation,
        pid: 4101,
        signal: Some(9),
        lived_ns: 23_600_000_000,
        restarts: 1,
        restarts_max: 5,
        ..Death::default()
    }
}
