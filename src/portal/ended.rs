//! Why the session of this browser has ended, in words for its owner.

use super::Language;
use super::call::Call;
use crate::session::EndReason;

/// The reason, if the visitor has the cookie of a session that is gone and a note was left; it is told once.
pub(super) async fn why(call: &Call) -> Option<EndReason> {
    let key = call.session_key.filter(|_| call.visitor.session.is_none())?;
    call.rooms.sessions.why_ended(&key, call.now).await
}

pub(super) fn sentence(reason: EndReason, language: Language) -> &'static str {
    match reason {
        EndReason::Limit => language.pick(
            "您在其他设备上登录，同时登录的设备数已达上限，本机的登录因此结束。如非本人操作，请尽快修改密码。",
            "You signed in elsewhere and had as many sessions as you may, so this one ended. If that was not you, change your password.",
        ),
        EndReason::Elsewhere => language.pick(
            "您在另一台设备上结束了本机的登录。请重新登录。",
            "You ended this session from another of your devices. Please sign in again.",
        ),
        EndReason::Operator => language.pick(
            "管理人员结束了本次登录。请重新登录；如有疑问，请联系客服。",
            "An operator ended this session. Please sign in again, or ask the help desk.",
        ),
        EndReason::Credentials => language.pick(
            "您的密码或验证方式已更改，所有登录已结束。请用新密码重新登录。",
            "Your password or another factor was changed, and all sessions ended. Please sign in with the new one.",
        ),
        EndReason::Disabled => language.pick(
            "该账户已停用，登录已结束。如有疑问，请联系客服或到政务服务大厅咨询。",
            "The account was disabled and its sessions ended. Ask the help desk or a service hall.",
        ),
        EndReason::Erased => language.pick("该账户已注销。", "The account was erased."),
        EndReason::Provider => language.pick(
            "您在身份平台退出了登录，本次登录随之结束。",
            "You signed out at the identity platform, and this session ended with it.",
        ),
        EndReason::RoleEnded => language.pick(
            "您所代表的单位收回了权限，登录已结束。请重新登录，以本人身份继续。",
            "The organisation you acted for withdrew your role, and the session ended. Sign in again to go on for yourself.",
        ),
    }
}
