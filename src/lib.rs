//! Yimen (一门): the single-window gateway of an online government service.
//!
//! The map, in reading order, then what each room may use; `tests/layers.rs` holds it. `problem`, `written`, `domain` and
//! a room's own slice of `config` are open to all.
//!
//! | room | answers | may use |
//! |---|---|---|
//! | [`cli`] | what each command does | all below |
//! | [`demo`] | what a demo needs around the gateway, sample platforms | identity |
//! | [`server`] | how the rooms are built and the listeners opened | all below |
//! | [`gateway`] | the public listener: arrive admit resolve protect forward answer finish | portal session identity routing usage metrics |
//! | [`management`] | the management listener | registry usage session identity routing metrics |
//! | [`portal`] | pages a person sees | issuer session identity routing metrics |
//! | [`registry`] | filings: read, review, history, compile into a candidate table, publish; reports | usage routing store metrics |
//! | [`issuer`] | OpenID Provider for platforms outside the proxy: authorize, token, logout | session identity routing store metrics |
//! | [`session`] | remembers who it is | store metrics |
//! | [`identity`] | finds out who it is; signs the assertion | store metrics |
//! | [`usage`] | how much each platform is used, and which nobody needs | store |
//! | [`routing`] | which platform answers; no I/O | – |
//! | [`store`] | every key and table of short-lived and durable state | metrics |
//! | [`metrics`] | every name and label of every metric | – |
//! | [`config`] | settings as written → as used | – |
//! | [`problem`] | the one RFC 9457 body | – |
//! | [`written`] | what people wrote in files, with the place of every mistake | – |
//! | [`domain`] | the words | – |
#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
pub mod gateway;
pub mod identity;
pub mod issuer;
pub mod management;
pub mod metrics;
pub mod portal;
pub mod problem;
pub mod registry;
pub mod routing;
pub mod server;
pub mod session;
pub mod store;
pub mod usage;
pub mod written;
