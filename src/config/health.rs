//! `health` and `watchdog`: whether a service that runs is still of use.

use super::fields::{Context, Located, Value, boolean, integer, nonempty, table};
use super::plan::{Check, Health, Http};
use super::read::command;
use super::units::write_duration;
use super::{policy, template};
use crate::time::Duration;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::fmt;

const EVERY: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(5);
const FAILURES: u32 = 3;
const FAILURES_MAX: i64 = 1000;
/// Longest address of a check, in bytes: it is sent in one piece.
const URL_MAX: usize = 1024;
const WAYS: &str = "`tcp`, `http` or `exec`";

/// `health = …`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HealthPart {
    pub(super) health: Health,
    /// The port or the address, when it depends on the argument of a template.
    pub(super) blank: Option<String>,
}

/// `{ http = "http://127.0.0.1:8080/health", every = "10s" }` and its like.
pub(super) fn read(context: &mut Context<'_>, value: &Value<'_>, in_template: bool) -> Option<HealthPart> {
    let table = table(
        context,
        value,
        "a table such as { tcp = 8080 }, { http = \"http://127.0.0.1:8080/health\" } or { exec = [\"./check\"] }",
    )?;
    let owner = context.inner_owner();
    let mut fields = context.fields(table, &owner).unavailable(&["unix"]);
    let before = fields.problems.len();
    let mut blank = None;
    let mut ways = Vec::new();
    ways.extend(fields.take("tcp", |c, v| match v.get_ref().as_str() {
        Some(text) if in_template && text.contains("%i") => {
            template::check(text, true).map_err(|reason| c.invalid(v.span(), &reason)).ok()?;
            blank = Some(text.to_owned());
            // Stands for a port that nobody knows yet.
            Some(Check::Tcp(0))
        }
        _ => integer(c, v, 1..=65_535).and_then(|port| u16::try_from(port).ok()).map(Check::Tcp),
    }));
    ways.extend(fields.take("http", |c, v| {
        let text = nonempty(c, v)?;
        template::check(&text, in_template).map_err(|reason| c.invalid(v.span(), &reason)).ok()?;
        if in_template && text.contains('%') {
            blank = Some(text);
            return Some(Check::Http(Http::unknown()));
        }
        Http::parse(&text).map_err(|reason| c.invalid(v.span(), &reason)).ok().map(Check::Http)
    }));
    ways.extend(fields.take("exec", |c, v| command(c, v, in_template).map(Check::Exec)));
    let every = fields.take("every", often);
    let timeout = fields.take("timeout", policy::period);
    let failures = fields.take("failures", |c, v| integer(c, v, 1..=FAILURES_MAX));
    let restart = fields.take("restart", boolean);
    let all = every.as_ref().map_or(EVERY, |l| l.value);
    fields.finish(None);
    if let Some(Located { value: timeout, span }) = &timeout
        && *timeout > all
    {
        let (timeout, all) = (write_duration(*timeout), write_duration(all));
        let mut inner = Context { problems: context.problems, key: "timeout", owner: &owner };
        inner.invalid(
            span.clone(),
            &format!("{timeout} is longer than `every` ({all}): checks do not overlap"),
        );
    }
    let wrong = context.problems.len() > before;
    let how = match ways.as_slice() {
        [one] => one.value.clone(),
        [] if wrong => return None,
        [] => {
            context.invalid(value.span(), &format!("it does not say how: {WAYS}"));
            return None;
        }
        [_, second, ..] => {
            context.invalid(second.span.clone(), &format!("one way is enough: {WAYS}"));
            return None;
        }
    };
    let health = Health {
        how,
        every: all,
        timeout: timeout.map_or(TIMEOUT.min(all), |l| l.value),
        failures: failures.and_then(|l| u32::try_from(l.value).ok()).unwrap_or(FAILURES),
        restart: restart.is_none_or(|l| l.value),
    };
    Some(HealthPart { health, blank })
}

/// How often something is done or said.
pub(super) fn often(context: &mut Context<'_>, value: &Value<'_>) -> Option<Duration> {
    let found = policy::duration(context, value)?;
    if found < Health::EVERY_MIN {
        let least = write_duration(Health::EVERY_MIN);
        context.invalid(value.span(), &format!("it must be at least {least}"));
        return None;
    }
    Some(found)
}

/// Puts the argument of a template into a check. `blank` is the port or the address as it was written, when it has a
/// percent sign.
///
/// # Errors
/// What it became, and the rule that it breaks.
pub(super) fn fill(
    how: &mut Check,
    blank: Option<&str>,
    filled: impl Fn(&str) -> String,
) -> Result<(), (String, String)> {
    match (how, blank) {
        (Check::Exec(words), _) => words.iter_mut().for_each(|word| *word = filled(word)),
        (Check::Tcp(port), Some(blank)) => {
            let text = filled(blank);
            let number = text.parse().ok().filter(|port| *port != 0);
            *port = number.ok_or((text, "expected a port from 1 to 65535".to_owned()))?;
        }
        (Check::Http(http), Some(blank)) => {
            let text = filled(blank);
            *http = Http::parse(&text).map_err(|reason| (text, reason))?;
        }
        (Check::Tcp(_) | Check::Http(_), None) => {}
    }
    Ok(())
}

impl Http {
    /// Stands for an address that nobody knows yet.
    fn unknown() -> Http {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Http { address, host: String::new(), path: "/".to_owned() }
    }

    /// What `http://127.0.0.1:8080/health` asks for. The host is an address, or `localhost`, which is 127.0.0.1; the port is
    /// 80 unless said.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(url: &str) -> Result<Http, String> {
        if url.len() > URL_MAX {
            return Err(format!("it has {} bytes, {URL_MAX} are allowed", url.len()));
        }
        if url.starts_with("https:") {
            return Err(
                "TLS is not spoken here; let a program ask: exec = [\"curl\", \"--fail\", …]".to_owned()
            );
        }
        let rest = url
            .strip_prefix("http://")
            .ok_or_else(|| "expected an address such as \"http://127.0.0.1:8080/health\"".to_owned())?;
        if let Some(wrong) = rest.chars().find(|c| !c.is_ascii_graphic() || *c == '#') {
            return Err(format!("{wrong:?} cannot be sent in it; it may be percent-encoded"));
        }
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(at);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Http { address: address(host)?, host: host.to_owned(), path })
    }
}

fn address(host: &str) -> Result<SocketAddr, String> {
    let end = host.rfind(']').map_or(0, |at| at + 1);
    let (name, port) = match host[end..].rfind(':') {
        Some(at) => (&host[..end + at], Some(&host[end + at + 1..])),
        None => (host, None),
    };
    let port = match port.map(str::parse::<u16>) {
        None => 80,
        Some(Ok(port)) if port != 0 => port,
        Some(_) => return Err("expected a port from 1 to 65535 after the host".to_owned()),
    };
    let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let ip = match literal {
        Some(six) => six.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None if name.eq_ignore_ascii_case("localhost") => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        None => name.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    };
    let ip = ip.ok_or_else(|| {
        "the host is an address, such as 127.0.0.1 or [::1], or `localhost`: looking up a name could make a check wait"
            .to_owned()
    })?;
    Ok(SocketAddr::new(ip, port))
}

impl fmt::Display for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.host, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_asked() {
        for (url, address, host, path) in [
            ("http://127.0.0.1:8080/health", "127.0.0.1:8080", "127.0.0.1:8080", "/health"),
            ("http://localhost", "127.0.0.1:80", "localhost", "/"),
            ("http://[::1]:81?x=%20", "[::1]:81", "[::1]:81", "/?x=%20"),
            ("http://[fe80::1]/a:b", "[fe80::1]:80", "[fe80::1]", "/a:b"),
            ("http://10.0.0.7:1/a/b?c=d", "10.0.0.7:1", "10.0.0.7:1", "/a/b?c=d"),
        ] {
            let found = Http::parse(url).unwrap();
            assert_eq!(
                (found.address.to_string().as_str(), found.host.as_str(), found.path.as_str()),
                (address, host, path),
                "{url}"
            );
        }
    }

    #[test]
    fn what_cannot_be_asked_says_why() {
        for (url, part) in [
            ("127.0.0.1:80/", "such as"),
            ("ftp://127.0.0.1/", "such as"),
            ("https://127.0.0.1/", "TLS"),
            ("http://", "an address"),
            ("http:///x", "an address"),
            ("http://example.org/", "an address"),
            ("http://user@127.0.0.1/", "an address"),
            ("http://127.0.0.1:/", "a port"),
            ("http://127.0.0.1:0/", "a port"),
            ("http://127.0.0.1:65536/", "a port"),
            ("http://[::1", "an address"),
            ("http://::1/", "an address"),
            ("http://127.0.0.1/a b", "' '"),
            ("http://127.0.0.1/\r\nX: 1", "'\\r'"),
            ("http://127.0.0.1/é", "'é'"),
            ("http://127.0.0.1/#x", "'#'"),
        ] {
            let reason = Http::parse(url).unwrap_err();
            assert!(reason.contains(part), "{url}: {reason}");
        }
        assert!(Http::parse(&format!("http://127.0.0.1/{}", "x".repeat(URL_MAX))).is_err());
    }
}
