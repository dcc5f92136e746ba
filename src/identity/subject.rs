//! Who a session speaks for, in claims: the same for an assertion and for a token.
//! Natural person: `sub` is the person's, and of `name`, `id_number`, `phone` comes what the filing names.
//! For a legal person (`represented`): `sub` is the legal person's, the same whoever acts for it, and nothing of the person who
//! acts leaves but what the filing asks for by `actor`: then `act` (RFC 8693 section 4.1) names them by the `sub` that they have
//! at the platform for themselves, with those of the three attributes that the filing names.

use serde::{Deserialize, Serialize};

use crate::domain::{IdNumber, Personal, Phone, Represented, SubjectKind, SubjectRole, Uscc};

/// The word by which a filing asks to be told who acts for a legal person.
const ACTOR: &str = "actor";

/// Who a session speaks for, whole. What of it leaves is for the filing to say.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Stable id of the person; only names made from it leave.
    pub id: &'a str,
    /// What kind of subject the person is for themselves.
    pub kind: SubjectKind,
    /// Their name.
    pub name: &'a str,
    /// What else is known of them.
    pub personal: &'a Personal,
    /// The legal person they act for, if they do.
    pub represented: Option<&'a Represented>,
}

/// The claims that say who.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectClaims {
    /// A name that only this reader knows the subject by.
    pub sub: String,
    /// Whom it speaks for.
    pub subject_type: SubjectKind,
    /// The legal person that is acted for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub represented: Option<RepresentedClaim>,
    /// Who acts for it, if the filing asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<ActorClaim>,
    /// What the filing names of a natural person.
    #[serde(flatten)]
    pub attributes: Attributes,
}

/// What a filing may name of a natural person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Identity number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_number: Option<IdNumber>,
    /// Phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
}

/// A legal person that is acted for. All of it is public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepresentedClaim {
    /// Unified social credit code.
    pub usc: Uscc,
    /// Name.
    pub name: String,
    /// What the person who acts is to it.
    pub role: SubjectRole,
}

/// Who acts for a legal person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorClaim {
    /// The name that this reader knows the person by.
    pub sub: String,
    /// What the filing names of them.
    #[serde(flatten)]
    pub attributes: Attributes,
}

impl SubjectClaims {
    /// The claims for a reader that has filed `filed`; `pairwise` makes its names from subjects.
    pub fn of(subject: &Subject<'_>, filed: &[Box<str>], pairwise: impl Fn(&str) -> String) -> Self {
        let person = pairwise(subject.id);
        let Some(represented) = subject.represented else {
            let (subject_type, attributes) = (subject.kind, Attributes::of(subject, filed));
            return Self { sub: person, subject_type, represented: None, act: None, attributes };
        };
        let Represented { usc, name, role, .. } = represented;
        let actor = || ActorClaim { sub: person, attributes: Attributes::of(subject, filed) };
        Self {
            sub: pairwise(&format!("usc:{usc}")), // no id of an account begins so
            subject_type: role.kind(),
            represented: Some(RepresentedClaim { usc: *usc, name: name.clone(), role: *role }),
            act: names(filed, ACTOR).then(actor),
            attributes: Attributes::default(),
        }
    }
}

impl Attributes {
    /// The words by which a filing names them.
    pub const WORDS: [&'static str; 3] = ["name", "id_number", "phone"];

    fn of(subject: &Subject<'_>, filed: &[Box<str>]) -> Self {
        let Personal { id_number, phone } = subject.personal;
        Self {
            name: names(filed, "name").then(|| subject.name.to_owned()),
            id_number: id_number.clone().filter(|_| names(filed, "id_number")),
            phone: phone.clone().filter(|_| names(filed, "phone")),
        }
    }
}

/// Whether anything of the natural person would leave for a reader that has filed `filed`.
pub fn leaves(represented: bool, filed: &[Box<str>]) -> bool {
    let named = Attributes::WORDS.iter().any(|word| names(filed, word));
    if represented { names(filed, ACTOR) } else { named }
}

fn names(filed: &[Box<str>], word: &str) -> bool {
    filed.iter().any(|filed| **filed == *word)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn filed(words: &[&str]) -> Vec<Box<str>> {
        words.iter().map(|word| Box::from(*word)).collect()
    }

    fn personal() -> Personal {
        Personal { id_number: "110105189912310015".parse().ok(), phone: "13812341234".parse().ok() }
    }

    fn company(role: SubjectRole) -> Represented {
        Represented {
            id: Uuid::nil(),
            usc: "914403001922038216".parse().unwrap(),
            name: "示例公司".to_owned(),
            role,
            valid_until: "2099-12-31".parse().unwrap(),
        }
    }

    fn claims(represented: Option<&Represented>, words: &[&str]) -> Value {
        let personal = personal();
        let subject =
            Subject {
                id: "0193-wang", kind: SubjectKind::Natural, name: "王小明", personal: &personal, represented
            };
        serde_json::to_value(SubjectClaims::of(&subject, &filed(words), |name| format!("pairwise({name})"))).unwrap()
    }

    #[test]
    fn of_a_natural_person_goes_what_is_filed() {
        assert_eq!(claims(None, &[]), json!({ "sub": "pairwise(0193-wang)", "subject_type": "natural" }));
        let all = claims(None, &["name", "phone", "id_number", "actor", "shoe_size"]);
        let told = ["name", "phone", "id_number"].map(|word| all[word].as_str().unwrap_or_default());
        assert_eq!(told, ["王小明", "13812341234", "110105189912310015"]);
        assert_eq!(all.as_object().unwrap().len(), 5, "{all}");
    }

    #[test]
    fn of_whoever_acts_for_a_legal_person_nothing_goes_unless_filed() {
        let all = claims(Some(&company(SubjectRole::Agent)), &["name", "phone", "id_number"]);
        let represented = json!({ "usc": "914403001922038216", "name": "示例公司", "role": "agent" });
        let sub = "pairwise(usc:914403001922038216)";
        assert_eq!(all, json!({ "sub": sub, "subject_type": "agent", "represented": represented }));
        let representative = claims(Some(&company(SubjectRole::LegalRepresentative)), &[]);
        assert_eq!((&representative["sub"], &representative["subject_type"]), (&json!(sub), &json!("legal")));
    }

    #[test]
    fn who_acts_is_told_where_it_is_filed() {
        let told = claims(Some(&company(SubjectRole::Agent)), &["name", "actor"]);
        assert_eq!(told["act"], json!({ "sub": "pairwise(0193-wang)", "name": "王小明" }));
        assert_eq!(told["name"], Value::Null);
        assert!(leaves(true, &filed(&["actor"])) && !leaves(true, &filed(&["name"])));
        assert!(leaves(false, &filed(&["phone"])) && !leaves(false, &filed(&["actor"])));
    }
}
