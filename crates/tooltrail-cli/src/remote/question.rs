//! A question as the parameters of a request.

/// The parameters of a question.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(&'static str, String)>);

impl Params {
    /// Returns the parameters that ask for a query alone.
    pub(crate) fn of_query(query: &str, days: u32, limit: usize) -> Self {
        Self::default().with("q", query).with("days", &days.to_string()).with("limit", &limit.to_string())
    }

    /// Adds a parameter, if it is not empty. One of the same name is replaced.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            self.0.push((name, value.to_owned()));
        }
        self
    }

    /// Returns only these parameters.
    #[must_use]
    pub(crate) fn only(&self, names: &[&str]) -> Self {
        Self(self.0.iter().filter(|(name, _)| names.contains(name)).cloned().collect())
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }
}
