//! The OpenAPI document, written from the table of operations.

use http::Method;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterIn, PathItem, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HeaderBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, Required, Response,
    ResponseBuilder, ResponsesBuilder,
};

use super::operation::{Condition, Operation, Takes};
use super::{parameters, schema};
use crate::problem::MEDIA_TYPE;

const ABOUT: &str = "The API of the register: platforms file themselves, operators of their division review, every node \
                     follows. Every refusal is a problem document (RFC 9457) that names everything that is wrong.";

/// The whole document.
pub(super) fn document(operations: &[Operation]) -> OpenApi {
    let info = InfoBuilder::new().title("Yimen").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT));
    let paths = operations.iter().fold(PathsBuilder::new(), |paths, operation| {
        paths.path(operation.path, PathItem::new(method(&operation.method), described(operation)))
    });
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token of `yimen token issue`."));
    let components =
        schema::all().into_iter().fold(ComponentsBuilder::new(), |all, (name, schema)| all.schema(name, schema));
    OpenApiBuilder::new()
        .info(info.build())
        .paths(paths)
        .components(Some(components.security_scheme("token", SecurityScheme::Http(bearer.build())).build()))
        .security(Some([SecurityRequirement::new("token", Vec::<String>::new())]))
        .build()
}

fn method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn described(operation: &Operation) -> utoipa::openapi::path::Operation {
    let right = operation.right.map(|right| format!("Right: `{right}`."));
    let about = [Some(operation.about.to_owned()).filter(|about| !about.is_empty()), right];
    let about: Vec<String> = about.into_iter().flatten().collect();
    let start = OperationBuilder::new()
        .operation_id(Some(operation.id))
        .tag(operation.tag)
        .summary(Some(operation.summary))
        .description(Some(about.join(" ")))
        .request_body(body(operation))
        .responses(responses(operation));
    let start =
        operation.path_parameters.iter().fold(start, |all, one| all.parameter(one.described(ParameterIn::Path)));
    let start = operation.query.iter().fold(start, |all, one| all.parameter(one.described(ParameterIn::Query)));
    fields(operation).into_iter().fold(start, |all, one| all.parameter(one)).build()
}

fn fields(operation: &Operation) -> Vec<utoipa::openapi::path::Parameter> {
    let tag = r#"^(\*|[0-9]{1,15}|"[0-9]{1,15}")$"#;
    let mut fields = Vec::new();
    match operation.condition {
        Condition::None => {}
        Condition::Read => {
            fields.push(parameters::header("If-None-Match", "ETag of what you have: 304 saves it.", tag));
        }
        Condition::Change => {
            fields.push(parameters::header("If-Match", "ETag of the version that this changes; `*` for any.", tag));
        }
        Condition::Decide => {
            let about = "ETag of the version that you have read and decide on.";
            fields.push(parameters::header("If-Match", about, r#"^([0-9]{1,15}|"[0-9]{1,15}")$"#));
        }
        Condition::Put => {
            fields.push(parameters::header("If-Match", "ETag of the version that this replaces; `*` for any.", tag));
            fields.push(parameters::header("If-None-Match", "`*`: there is none yet.", r"^\*$"));
        }
    }
    if operation.takes_key() {
        let about = "A random key: the same call with the same key is carried out once, and answered alike for a day.";
        fields.push(parameters::header("Idempotency-Key", about, "^[A-Za-z0-9_-]{8,255}$"));
    }
    fields
}

fn body(operation: &Operation) -> Option<utoipa::openapi::request_body::RequestBody> {
    let (media_type, name) = match operation.takes {
        Takes::Nothing => return None,
        Takes::Json(name) => ("application/json", name),
        Takes::MergePatch(name) => ("application/merge-patch+json", name),
    };
    let content = ContentBuilder::new().schema(Some(schema::reference(name))).build();
    Some(RequestBodyBuilder::new().content(media_type, content).required(Some(Required::True)).build())
}

fn responses(operation: &Operation) -> ResponsesBuilder {
    let good = operation.good.iter().fold(ResponsesBuilder::new(), |all, (status, name)| {
        all.response(status.to_string(), good(*status, name, operation.condition != Condition::None))
    });
    operation.refusals().into_iter().fold(good, |all, status| all.response(status.to_string(), refused(status)))
}

fn good(status: u16, name: &str, versioned: bool) -> Response {
    let content = ContentBuilder::new().schema(Some(schema::reference(name))).build();
    let start = ResponseBuilder::new().description(words(status)).content("application/json", content);
    let text = || HeaderBuilder::new().schema(Some(schema::of_type(Type::String))).build();
    let start = start.header("X-Request-Id", text());
    if versioned { start.header("ETag", text()).build() } else { start.build() }
}

fn refused(status: u16) -> Response {
    let start = ResponseBuilder::new().description(words(status));
    if status == 304 {
        return start.build();
    }
    start.content(MEDIA_TYPE, ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build()).build()
}

fn words(status: u16) -> &'static str {
    match status {
        200 => "Done, or as it is.",
        201 => "Made.",
        304 => "You have it.",
        400 => "Parameters or JSON with mistakes.",
        401 => "Token or certificate needed.",
        403 => "A right is missing; the answer names it.",
        404 => "There is none, as far as you may see.",
        405 => "Another method; `Allow` names them.",
        408 => "The body came too slowly.",
        409 => "The state, a holder of the place, or a call under way stands against it.",
        412 => "Changed meanwhile; the answer names the version there is.",
        413 => "More than 1 MiB.",
        415 => "Another media type.",
        422 => "A body with mistakes, each named; or a key used before.",
        428 => "If-Match is needed.",
        503 => "The store is away; nothing was changed.",
        _ => "Refused.",
    }
}
