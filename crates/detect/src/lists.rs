//! Address lists: read line by line, asked by longest prefix.

use std::net::IpAddr;

use atalaya_model::{Problem, Text};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// Most entries that all lists together may have.
const MAX_ENTRIES: usize = 4_000_000;
/// Most bad lines of one list that are reported one by one.
const MAX_PROBLEMS: usize = 20;

/// What detectors are given besides their options.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    /// Addresses that nothing here should talk to.
    pub blocklist: Blocklist,
}

/// Addresses and networks, each with the name of the list that it came from.
#[derive(Clone, Debug, Default)]
pub struct Blocklist {
    v4: PrefixMap<Ipv4Net, u16>,
    v6: PrefixMap<Ipv6Net, u16>,
    names: Vec<Text>,
}

/// One address or network in a configuration: `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Network(#[schemars(with = "String")] pub IpNet);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map(Self).map_err(|message| {
            D::Error::custom(format!(
                "{message}; hint: write an address such as \"192.0.2.1\" or a network such as \"192.0.2.0/24\""
            ))
        })
    }
}

impl Blocklist {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds one entry of the list called `name`. An entry that two lists have is the later one's.
    pub fn add(&mut self, name: &str, network: IpNet) {
        let place = self.names.iter().position(|known| **known == *name);
        let place = place.unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        });
        let place = u16::try_from(place).unwrap_or(u16::MAX);
        match network.trunc() {
            IpNet::V4(network) => {
                self.v4.insert(network, place);
            }
            IpNet::V6(network) => {
                self.v6.insert(network, place);
            }
        }
    }

    /// Adds a list file: one address or network a line; `#` and `;` begin a comment. A bad line is reported and
    /// skipped. `name` is what alerts call the list, `path` what problems call the file.
    pub fn add_text(&mut self, name: &str, path: &str, text: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut bad = 0;
        let mut tell = |line: usize, message: String, hint: &str| {
            bad += 1;
            if bad <= MAX_PROBLEMS {
                problems.push(Problem {
                    path: path.to_owned(),
                    line: Some(line),
                    column: None,
                    message,
                    hint: Some(hint.to_owned()),
                });
            }
        };
        for (line, text) in (1..).zip(text.lines()) {
            let entry = text.split(['#', ';']).next().unwrap_or_default().trim();
            if entry.is_empty() {
                continue;
            }
            match parse(entry) {
                Ok(_) if self.len() >= MAX_ENTRIES => {
                    let message =
                        format!("more than {MAX_ENTRIES} entries: the rest of the list is left out");
                    tell(line, message, "merge neighbouring addresses into networks");
                    break;
                }
                Ok(network) => self.add(name, network),
                Err(message) => tell(line, message, "one address or network (CIDR) a line"),
            }
        }
        if bad > MAX_PROBLEMS {
            problems.push(Problem {
                path: path.to_owned(),
                line: None,
                column: None,
                message: format!("{} more bad lines", bad - MAX_PROBLEMS),
                hint: Some("is this a list of addresses?".to_owned()),
            });
        }
        problems
    }

    /// The narrowest entry that holds this address, and its list.
    pub fn find(&self, ip: IpAddr) -> Option<(IpNet, &Text)> {
        let (entry, place) = match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let (entry, place) = self.v4.get_lpm(&Ipv4Net::from(ip))?;
                (IpNet::V4(entry), *place)
            }
            IpAddr::V6(ip) => {
                let (entry, place) = self.v6.get_lpm(&Ipv6Net::from(ip))?;
                (IpNet::V6(entry), *place)
            }
        };
        Some((entry, self.names.get(usize::from(place))?))
    }
}

/// Reads an address or a network; an IPv4-mapped one is IPv4.
fn parse(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(ip) => IpNet::from(ip.to_canonical()),
        Err(_) => text
            .parse::<IpNet>()
            .map_err(|_| format!("`{}` is neither an address nor a network", shorten(text)))?,
    };
    if network.prefix_len() == 0 {
        return Err(format!("`{network}` is every address there is"));
    }
    Ok(network)
}

fn shorten(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    short.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_is_read_line_by_line() {
        let mut list = Blocklist::default();
        let text = "# feed\n192.0.2.1\n198.51.100.0/24 ; botnet\n\nnonsense\u{1b}[31m\n2001:db8::/32\n0.0.0.0/0\n::ffff:203.0.113.9\n";
        let problems = list.add_text("feed", "/etc/feed.txt", text);
        assert_eq!(list.len(), 4);
        let found: Vec<_> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(found, [Some(5), Some(7)]);
        assert!(!problems[0].message.contains('\u{1b}'));
        let find = |ip: &str| list.find(ip.parse().unwrap()).map(|(entry, _)| entry.to_string());
        assert_eq!(find("198.51.100.77").as_deref(), Some("198.51.100.0/24"));
        assert_eq!(find("::ffff:192.0.2.1").as_deref(), Some("192.0.2.1/32"));
        assert_eq!(find("203.0.113.9").as_deref(), Some("203.0.113.9/32"));
        assert_eq!(find("2001:db8:1::1").as_deref(), Some("2001:db8::/32"));
        assert_eq!(find("192.0.2.2"), None);
    }

    #[test]
    fn the_narrowest_entry_wins() {
        let mut list = Blocklist::default();
        list.add("wide", "10.0.0.0/8".parse().unwrap());
        list.add("narrow", "10.1.2.3/32".parse().unwrap());
        let name = |ip: &str| list.find(ip.parse().unwrap()).unwrap().1.to_string();
        assert_eq!(name("10.1.2.3"), "narrow");
        assert_eq!(name("10.1.2.4"), "wide");
    }

    #[test]
    fn not_every_line_of_a_wrong_file_is_reported() {
        let problems = Blocklist::default().add_text("x", "/bin/ls", &"junk\n".repeat(10_000));
        assert_eq!(problems.len(), MAX_PROBLEMS + 1);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in any::<String>()) {
            Blocklist::default().add_text("x", "x", &text);
        }
    }
}
