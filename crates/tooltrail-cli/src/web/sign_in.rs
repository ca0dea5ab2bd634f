//! The sign-in form, into which a user pastes a token.

use maud::{Markup, html};

use crate::web::layout::{Tab, Trouble, whole};
use crate::web::view::View;

/// The data for the sign-in form.
#[derive(Clone, Debug)]
pub(crate) struct SignIn {
    /// The secret that the form must send back.
    pub(crate) form: String,
    /// The address to open after signing in.
    pub(crate) next: String,
    /// Whether to load `next` again immediately. The browser does not send the session cookie when the user follows a
    /// link from another site, but it does for this reload.
    pub(crate) again: bool,
    /// Why the last attempt failed.
    pub(crate) refused: Option<Trouble>,
}

/// Returns the form.
pub(crate) fn sign_in(what: &SignIn) -> Markup {
    let body = html! {
        section.sign-in {
            h1 { "Sign in" }
            p { "Read what your agents did: every tool call, as it was recorded." }
            form method="post" action="/session" {
                input type="hidden" name="form" value=(what.form);
                input type="hidden" name="next" value=(what.next);
                label for="token" { "Token" }
                input type="password" id="token" name="token" required autofocus autocomplete="current-password" spellcheck="false"
                    placeholder="tooltrail_…" aria-invalid=[what.refused.as_ref().map(|_| "true")]
                    aria-describedby=[what.refused.as_ref().map(|_| "token-refused")];
                @if let Some(refused) = &what.refused {
                    p.refused id="token-refused" role="alert" { (refused.what) ". " span { (refused.hint) } }
                }
                button.first type="submit" { "Sign in" }
            }
            p.quiet {
                "No token yet? Whoever runs the service makes one: "
                code { "tooltrail token add NAME " span { "--role admin" } }
                " reads everybody's calls, "
                code { span { "--role user" } " " span { "--user USER" } }
                " one user's."
            }
        }
    };
    let again = what.again.then_some(what.next.as_str());
    whole("Sign in", Tab::SignIn, None, &View::default(), again, &body)
}
