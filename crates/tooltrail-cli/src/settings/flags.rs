//! The flags that every command takes, with their environment variables: the places of the home and the keys, and the
//! output format.

use std::path::PathBuf;

use crate::output::Colour;

/// Heading of these flags in the `--help` of each command.
const HEADING: &str = "Everywhere";

/// Flags that every command accepts.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct GlobalFlags {
    /// The root folder of all trails [default: $XDG_DATA_HOME/tooltrail or ~/.local/share/tooltrail]
    #[arg(long, global = true, value_name = "DIR", env = "TOOLTRAIL_HOME", hide_env_values = true, help_heading = HEADING)]
    pub(crate) home: Option<PathBuf>,

    /// The home's keys and tokens, never below the home [default: a folder of the home's id below
    /// $XDG_STATE_HOME/tooltrail or ~/.local/state/tooltrail]
    #[arg(long, global = true, value_name = "DIR", env = "TOOLTRAIL_KEYS", hide_env_values = true, hide_short_help = true, help_heading = HEADING)]
    pub(crate) keys: Option<PathBuf>,

    /// The configuration file [default: tooltrail/tooltrail.toml in $XDG_CONFIG_HOME or ~/.config]
    #[arg(long, global = true, value_name = "FILE", env = "TOOLTRAIL_CONFIG", hide_env_values = true, hide_short_help = true, help_heading = HEADING)]
    pub(crate) config: Option<PathBuf>,

    /// The time zone for times that do not name one, such as Europe/Berlin [default: the system's]
    #[arg(long, global = true, value_name = "ZONE", env = "TOOLTRAIL_ZONE", hide_env_values = true, hide_short_help = true, help_heading = HEADING)]
    pub(crate) zone: Option<String>,

    /// New files and folders may be read by their group (0640 and 0750)
    #[arg(long, global = true, env = "TOOLTRAIL_GROUP", hide_env_values = true, hide_short_help = true, help_heading = HEADING,
        value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) group: Option<bool>,

    /// Write to a home on a network file system too, where entries can be lost and cut in two
    #[arg(long, global = true, env = "TOOLTRAIL_FORCE_NETWORK_HOME", hide_env_values = true, hide_short_help = true, help_heading = HEADING,
        value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) force_network_home: Option<bool>,

    /// Print JSON for programs instead of text for people
    #[arg(long, global = true, help_heading = HEADING)]
    pub(crate) json: bool,

    /// When to colour
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Colour::Auto, hide_short_help = true, help_heading = HEADING)]
    pub(crate) color: Colour,
}
