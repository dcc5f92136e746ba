//! The words for every reason code, in one table: a title, and a sentence with the next step.

pub(super) struct Text {
    code: &'static str,
    pub(super) title_zh: &'static str,
    pub(super) sentence_zh: &'static str,
    pub(super) title_en: &'static str,
    pub(super) sentence_en: &'static str,
}

/// The words for a code; those of `internal` for one that is not here.
pub(super) fn text(code: &str) -> &'static Text {
    TEXTS.iter().find(|text| text.code == code).unwrap_or(&INTERNAL)
}

const INTERNAL: Text = Text {
    code: "internal",
    title_zh: "系统出现故障",
    sentence_zh: "您的操作没有完成，问题出在我们这里。请稍后重试；仍不成功时，请联系客服并提供下方编号。",
    title_en: "Something went wrong here",
    sentence_en: "Your request was not completed, and the fault is ours. Try again in a moment; if it happens again, tell the help desk the number below.",
};

const TEXTS: [Text; 66] = [
    Text {
        code: "bad-password",
        title_zh: "密码长度不符合要求",
        sentence_zh: "密码没有更换。密码须为 8 至 128 个字符，字符种类不限；建议用几个词连成一句。",
        title_en: "This password is too short or too long",
        sentence_en: "Your password has not changed. It has 8 to 128 characters of any kind; a few words in a row are a good one.",
    },
    Text {
        code: "breached-password",
        title_zh: "这个密码不安全",
        sentence_zh: "密码没有更换。这个密码曾在其他网站泄露，他人很容易猜到。请换一个。",
        title_en: "This password is not safe",
        sentence_en: "Your password has not changed. This one was stolen elsewhere and is easily guessed. Choose another.",
    },
    Text {
        code: "factors-too-many",
        title_zh: "登录方式已达上限",
        sentence_zh: "一个账户最多可设置十种登录方式。请先删除一种，再添加新的。",
        title_en: "There are enough ways to sign in",
        sentence_en: "An account has ten factors at most. Remove one first, then add the new one.",
    },
    Text {
        code: "bad-code-address",
        title_zh: "手机号或邮箱格式不正确",
        sentence_zh: "没有发送验证码。请返回检查手机号或邮箱地址后重试。",
        title_en: "This is no telephone number or mailbox",
        sentence_en: "No code was sent. Go back, check the number or address, and try again.",
    },
    Text {
        code: "tries-too-many",
        title_zh: "尝试次数过多",
        sentence_zh: "为保护您的账户，这次没有核对。请稍等片刻再试；您的账户没有被锁定。",
        title_en: "Too many tries",
        sentence_en: "To protect your account, this try was not checked. Wait a moment and try again; your account is not locked.",
    },
    Text {
        code: "factor-not-set",
        title_zh: "登录方式没有设置成功",
        sentence_zh: "设置已超时，或设备没有通过验证。什么都没有改变，请回到“我的账户”重新开始。",
        title_en: "It was not set",
        sentence_en: "It took too long, or the device was not accepted. Nothing has changed; start again from your account page.",
    },
    Text {
        code: "unknown-client",
        title_zh: "不认识请求登录的平台",
        sentence_zh: "请求登录的平台没有在本系统备案，所以没有跳转。请回到原平台重试；仍不成功时请告诉该平台。",
        title_en: "This platform is not known here",
        sentence_en: "The platform that sent you here to sign in is not filed, so you are not sent back to it. Return to it and try again, or tell its help desk.",
    },
    Text {
        code: "client-not-served",
        title_zh: "该平台目前不能使用统一登录",
        sentence_zh: "该平台的备案已暂停或到期，暂时不能从这里登录。请稍后再试，或联系该平台。",
        title_en: "This platform cannot be signed in to now",
        sentence_en: "The platform's filing is suspended or has run out. Try again later, or ask the platform.",
    },
    Text {
        code: "address-not-filed",
        title_zh: "返回地址未备案",
        sentence_zh: "该平台要求返回的地址没有备案，为安全起见没有跳转。请回到原平台重试；仍不成功时请告诉该平台。",
        title_en: "The address to return to is not filed",
        sentence_en: "The platform asked to send you to an address that it has not filed, so for your safety nobody is sent there. Return to the platform and try again, or tell its help desk.",
    },
    Text {
        code: "request-over",
        title_zh: "这次登录已失效",
        sentence_zh: "这次登录请求已使用过或超过了有效时间。请回到原平台，重新点击登录。",
        title_en: "This request to sign in is over",
        sentence_en: "This request to sign in was used already or is too old. Return to the platform and start again.",
    },
    Text {
        code: "bad-hint",
        title_zh: "退出请求无法识别",
        sentence_zh: "平台发来的退出凭据不正确，为安全起见没有退出。请从本站“退出”按钮退出登录。",
        title_en: "This request to sign out cannot be read",
        sentence_en: "The token that came with the request is not one of ours, so nobody was signed out. Use the sign-out button of this site.",
    },
    Text {
        code: "bad-host",
        title_zh: "网址不正确",
        sentence_zh: "请求中的网站名称无法识别。请检查网址，或从首页重新进入。",
        title_en: "This address cannot be read",
        sentence_en: "The site name in the request cannot be read. Check the address, or start from the home page.",
    },
    Text {
        code: "unknown-host",
        title_zh: "这里没有这个网站",
        sentence_zh: "您访问的网站不由本系统提供。请检查网址后重试。",
        title_en: "There is no such site here",
        sentence_en: "This gateway does not serve the site you asked for. Check the address and try again.",
    },
    Text {
        code: "bad-path",
        title_zh: "网址格式不正确",
        sentence_zh: "网址中含有不允许的字符或写法。请检查网址，或从首页重新进入。",
        title_en: "This address is malformed",
        sentence_en: "The address contains characters or forms that are not allowed. Check it, or start from the home page.",
    },
    Text {
        code: "url-too-long",
        title_zh: "网址过长",
        sentence_zh: "网址超过了允许的长度。请从首页重新进入，缩短填写的内容后重试。",
        title_en: "This address is too long",
        sentence_en: "The address is longer than allowed. Start from the home page and enter less text.",
    },
    Text {
        code: "headers-too-large",
        title_zh: "请求头过大",
        sentence_zh: "浏览器发送的信息过多，通常是 Cookie 太多。请清除本网站的 Cookie 后重试。",
        title_en: "The request headers are too large",
        sentence_en: "The browser sent too much, most often too many cookies. Clear this site's cookies and try again.",
    },
    Text {
        code: "bad-length",
        title_zh: "请求长度不正确",
        sentence_zh: "请求声明的长度与内容不符，为安全起见未予处理。请重新提交。",
        title_en: "The request has a wrong length",
        sentence_en: "The stated length does not fit the content, so the request was not processed. Send it again.",
    },
    Text {
        code: "bad-request",
        title_zh: "请求无法识别",
        sentence_zh: "系统无法读懂这个请求。请返回上一页重新操作，或从首页重新进入。",
        title_en: "The request cannot be read",
        sentence_en: "The gateway could not make sense of the request. Go back and try again, or start from the home page.",
    },
    Text {
        code: "bad-cookie",
        title_zh: "登录信息无法识别",
        sentence_zh: "浏览器保存的登录信息已损坏或重复。请清除本网站的 Cookie 后重新登录。",
        title_en: "The sign-in cookie cannot be read",
        sentence_en: "The sign-in cookie in your browser is damaged or doubled. Clear this site's cookies and sign in again.",
    },
    Text {
        code: "method-not-allowed",
        title_zh: "不支持此操作方式",
        sentence_zh: "这个网址不能用这种方式访问。请返回上一页，通过页面上的按钮或链接操作。",
        title_en: "This method is not allowed here",
        sentence_en: "This address does not take that kind of request. Go back and use the buttons and links of the page.",
    },
    Text {
        code: "body-too-large",
        title_zh: "提交的内容过大",
        sentence_zh: "提交的内容超过了此事项允许的大小。请压缩或拆分文件后重试。",
        title_en: "What you sent is too large",
        sentence_en: "It is larger than this service takes. Make the files smaller or split them, and try again.",
    },
    Text {
        code: "body-timeout",
        title_zh: "提交超时",
        sentence_zh: "内容没有在规定时间内传完。请检查网络后重新提交。",
        title_en: "Sending took too long",
        sentence_en: "Your data did not arrive in time. Check your connection and send it again.",
    },
    Text {
        code: "upgrade-not-allowed",
        title_zh: "不支持此连接方式",
        sentence_zh: "这个网址不支持所要求的连接方式。请从首页重新进入。",
        title_en: "This kind of connection is not offered",
        sentence_en: "This address does not offer the kind of connection that was asked for. Start from the home page.",
    },
    Text {
        code: "no-route",
        title_zh: "页面不存在",
        sentence_zh: "没有找到这个网址。请检查是否输错，或在首页搜索要办理的事项。",
        title_en: "Page not found",
        sentence_en: "Nothing has this address. Check it for typing mistakes, or search for the service on the home page.",
    },
    Text {
        code: "unknown-division",
        title_zh: "没有这个地区",
        sentence_zh: "网址中的地区代码不存在，行政区划可能已调整。请重新选择地区。",
        title_en: "There is no such region",
        sentence_en: "The region code in the address does not exist; regions change over time. Choose your region again.",
    },
    Text {
        code: "unknown-item",
        title_zh: "没有这个事项",
        sentence_zh: "网址中的事项代码不存在。请在首页搜索要办理的事项。",
        title_en: "There is no such service",
        sentence_en: "The service code in the address does not exist. Search for the service on the home page.",
    },
    Text {
        code: "not-handled",
        title_zh: "此事项暂不能在该地区网上办理",
        sentence_zh: "该地区及其上级目前都没有开通此事项的网上办理。您可以换一个地区，或到当地政务服务大厅办理。",
        title_en: "This service is not online in that region",
        sentence_en: "Neither the region nor any level above it offers this service online yet. Choose another region, or visit the local service hall.",
    },
    Text {
        code: "gone",
        title_zh: "服务已停止",
        sentence_zh: "这项网上服务已由主管部门停办。请在首页搜索替代的事项。",
        title_en: "This service has been withdrawn",
        sentence_en: "The responsible department has withdrawn this online service. Search the home page for what replaces it.",
    },
    Text {
        code: "maintenance",
        title_zh: "系统维护中",
        sentence_zh: "此服务正在进行计划内维护，期间无法办理。请稍后再来。",
        title_en: "Down for maintenance",
        sentence_en: "This service is down for planned maintenance. Come back a little later.",
    },
    Text {
        code: "suspended",
        title_zh: "服务已暂停",
        sentence_zh: "此服务已被管理部门暂停。请过些时候再来，或到当地政务服务大厅办理。",
        title_en: "This service is suspended",
        sentence_en: "The supervising department has suspended this service. Come back later, or visit the local service hall.",
    },
    Text {
        code: "expired",
        title_zh: "服务备案已到期",
        sentence_zh: "此服务的备案已到期，续期前不能办理。请过些时候再来，或到当地政务服务大厅办理。",
        title_en: "This service's filing has expired",
        sentence_en: "The filing of this service has run out and must be renewed first. Come back later, or visit the local service hall.",
    },
    Text {
        code: "sign-in-needed",
        title_zh: "请先登录",
        sentence_zh: "办理此事项需要登录。登录后会回到当前页面。",
        title_en: "Please sign in",
        sentence_en: "This service needs you to be signed in. You will come back to this page afterwards.",
    },
    Text {
        code: "sign-in-again",
        title_zh: "请重新登录",
        sentence_zh: "为保护您的信息，此操作要求刚刚登录过。重新登录后会回到当前页面。",
        title_en: "Please sign in again",
        sentence_en: "To protect you, this step needs a recent sign-in. You will come back to this page afterwards.",
    },
    Text {
        code: "assurance-too-low",
        title_zh: "需要进一步验证身份",
        sentence_zh: "办理此事项需要比本次登录更高的身份核验等级。进一步验证后会回到当前页面。",
        title_en: "Please prove more of who you are",
        sentence_en: "This service needs a higher level of identity assurance than this sign-in has. You will come back to this page afterwards.",
    },
    Text {
        code: "wrong-subject",
        title_zh: "此事项不适用于当前身份",
        sentence_zh: "此事项只对另一类办事对象（个人、法人或经办人）开放。请切换办事身份后办理。",
        title_en: "This service is for others",
        sentence_en: "This service is open to another kind of subject (person, organisation or its agent). Switch to whom it is for.",
    },
    Text {
        code: "role-ended",
        title_zh: "您的代表权限已结束",
        sentence_zh: "您所代表的单位已收回权限，或权限已到期。请切换为其他办事身份后继续。",
        title_en: "You no longer act for this organisation",
        sentence_en: "Your role for the organisation was withdrawn or has ended. Switch to another subject to go on.",
    },
    Text {
        code: "role-refused",
        title_zh: "不能切换到该身份",
        sentence_zh: "您没有该单位的有效权限。请在“切换办事身份”页面重新选择，或联系该单位。",
        title_en: "You cannot act as that",
        sentence_en: "You have no valid role of that kind. Choose again on the page for switching, or ask the organisation.",
    },
    Text {
        code: "consent-needed",
        title_zh: "需要您同意提供个人信息",
        sentence_zh: "该平台由其他机构运营，办理前需要您同意向其提供个人信息。同意后会回到当前页面。",
        title_en: "Your consent is needed",
        sentence_en: "This platform is run by others, and needs your consent to learn about you. You will come back to this page afterwards.",
    },
    Text {
        code: "identity-store-away",
        title_zh: "暂时无法核实权限",
        sentence_zh: "系统暂时无法核实您的代表权限或授权。您的登录不受影响，请稍后再试。",
        title_en: "Your rights cannot be checked right now",
        sentence_en: "The gateway cannot check your role or consent at the moment. You stay signed in; try again shortly.",
    },
    Text {
        code: "no-such-platform",
        title_zh: "没有这个平台",
        sentence_zh: "该平台不存在或已停止服务。请从首页搜索要办理的事项。",
        title_en: "There is no such platform",
        sentence_en: "The platform does not exist or is no longer served. Search for the service on the home page.",
    },
    Text {
        code: "no-realm",
        title_zh: "没有这个登录方式",
        sentence_zh: "这个身份平台不存在，或达不到所需的核验等级。请在登录页选择其他方式。",
        title_en: "There is no such way to sign in",
        sentence_en: "There is no such identity platform, or it cannot prove what is needed. Choose another way on the sign-in page.",
    },
    Text {
        code: "provider-away",
        title_zh: "身份平台暂时无法使用",
        sentence_zh: "身份平台没有应答，所以没有登录。已登录的用户不受影响。请稍后再试，或选择其他登录方式。",
        title_en: "The identity platform is away",
        sentence_en: "The identity platform does not answer, so you are not signed in. Who is signed in already stays so. Try again later, or choose another way to sign in.",
    },
    Text {
        code: "provider-untrusted",
        title_zh: "身份平台的答复无法核实",
        sentence_zh: "为保护您的账户，没有登录：身份平台的答复未通过核验。请重新登录；仍不成功时，请选择其他登录方式。",
        title_en: "The identity platform's answer cannot be verified",
        sentence_en: "To protect you, you are not signed in: the answer of the identity platform did not pass our checks. Sign in again; if it happens again, choose another way.",
    },
    Text {
        code: "provider-refused",
        title_zh: "身份平台没有完成登录",
        sentence_zh: "您在身份平台取消了登录，或该平台拒绝了请求。请重新登录，或选择其他方式。",
        title_en: "The identity platform did not sign you in",
        sentence_en: "You went back at the identity platform, or it refused. Sign in again, or choose another way.",
    },
    Text {
        code: "level-not-reached",
        title_zh: "身份核验等级不够",
        sentence_zh: "您在身份平台的核验等级低于此服务的要求，所以没有登录。请在该平台完成更高等级的核验，或选择其他登录方式。",
        title_en: "Your identity was not proven far enough",
        sentence_en: "What the identity platform proved is less than this service needs, so you are not signed in. Have your identity proven further there, or choose another way to sign in.",
    },
    Text {
        code: "sign-in-over",
        title_zh: "这次登录已经结束",
        sentence_zh: "登录可能已在另一个窗口完成，或等待时间过长。您可以从这里继续。",
        title_en: "This sign-in is over",
        sentence_en: "It may have been finished in another window, or it took too long. You can go on from here.",
    },
    Text {
        code: "account-disabled",
        title_zh: "账户已停用",
        sentence_zh: "与此身份关联的账户已停用，所以没有登录。请联系政务服务大厅。",
        title_en: "The account is disabled",
        sentence_en: "The account that this identity belongs to is disabled, so you are not signed in. Ask at a service hall.",
    },
    Text {
        code: "identity-taken",
        title_zh: "该身份已被关联",
        sentence_zh: "此身份已关联到另一个账户。请先在那个账户中解除关联。",
        title_en: "This identity is linked already",
        sentence_en: "This identity belongs to another account. Unlink it there first.",
    },
    Text {
        code: "forged-form",
        title_zh: "为安全起见，未执行此操作",
        sentence_zh: "这个请求不像是由本网站的页面发出的，或页面已失效。请返回并在打开的新页面上重新操作。",
        title_en: "Not done, for your safety",
        sentence_en: "The request does not seem to come from a page of this site, or the page is out of date. Go back, open the page anew and try again.",
    },
    Text {
        code: "too-early",
        title_zh: "请求发送过早",
        sentence_zh: "连接尚未完全建立，为安全起见没有处理。请重试。",
        title_en: "Sent too early",
        sentence_en: "The connection was not fully established, so the request was not processed. Try again.",
    },
    Text {
        code: "session-store-away",
        title_zh: "暂时无法确认登录状态",
        sentence_zh: "系统正在恢复，您的登录仍然保留，不需要重新登录。请稍后重试。",
        title_en: "We cannot check your sign-in right now",
        sentence_en: "The system is recovering. You stay signed in and need not sign in again; try again in a moment.",
    },
    Text {
        code: "no-instance",
        title_zh: "办理平台暂时不可用",
        sentence_zh: "负责此事项的平台暂时没有响应，您的登录不受影响。请稍后重试。",
        title_en: "The service is not available right now",
        sentence_en: "The platform in charge is not answering for the moment. You stay signed in; try again shortly.",
    },
    Text {
        code: "connect-failed",
        title_zh: "无法连接办理平台",
        sentence_zh: "暂时连接不上负责此事项的平台，您的登录不受影响。请稍后重试。",
        title_en: "The service cannot be reached",
        sentence_en: "The platform in charge cannot be reached for the moment. You stay signed in; try again shortly.",
    },
    Text {
        code: "platform-untrusted",
        title_zh: "无法确认办理平台的身份",
        sentence_zh: "为保护您的信息，系统没有把请求发给无法证明身份的平台，您的登录不受影响。请稍后重试；仍不成功时，请联系客服并提供下方编号。",
        title_en: "The service could not prove who it is",
        sentence_en: "To protect you, nothing was sent to a platform that cannot prove who it is. You stay signed in; try again shortly, and if it happens again, tell the help desk the number below.",
    },
    Text {
        code: "other-origin",
        title_zh: "此服务有自己的网址",
        sentence_zh: "您访问的服务由办理平台的专用网址提供。请点击下方按钮前往。",
        title_en: "This service has an address of its own",
        sentence_en: "The platform in charge answers at an address of its own. Go on to it; programs find it as `address`.",
    },
    Text {
        code: "handover-refused",
        title_zh: "无法转到办理平台",
        sentence_zh: "转到办理平台的链接不完整或已失效。请从首页重新进入要办的事项。",
        title_en: "The way to the platform is not complete",
        sentence_en: "The link to the platform is not complete or no longer right. Start again from the home page.",
    },
    Text {
        code: "rate-limited",
        title_zh: "访问过于频繁",
        sentence_zh: "您在短时间内的访问次数超过了限制。请稍等片刻再试，您的登录不受影响。",
        title_en: "Too many requests",
        sentence_en: "More requests came in a short time than are allowed. Wait a moment and try again; you stay signed in.",
    },
    Text {
        code: "handovers-too-many",
        title_zh: "转到办理平台过于频繁",
        sentence_zh: "您在短时间内转到办理平台的次数过多。请等一分钟后再试，您的登录不受影响。",
        title_en: "Too many ways to platforms at once",
        sentence_en: "You went to platforms too many times within a minute. Wait a minute and try again; you stay signed in.",
    },
    Text {
        code: "ticket-refused",
        title_zh: "登录状态没有带过来",
        sentence_zh: "转到办理平台用的一次性凭证已使用、已过期，或不是在这个浏览器中取得的。请点击继续，系统会重新转接；请允许浏览器保存 Cookie。",
        title_en: "Your sign-in did not come along",
        sentence_en: "The one-time ticket to this platform was used, is too old, or belongs to another browser. Continue to get another; cookies must be allowed.",
    },
    Text {
        code: "platform-timeout",
        title_zh: "办理平台响应超时",
        sentence_zh: "负责此事项的平台没有及时答复。如果您刚提交了内容，请先查看是否已提交成功，再决定是否重新提交。",
        title_en: "The service took too long",
        sentence_en: "The platform in charge did not answer in time. If you were sending something, check first whether it arrived before sending it again.",
    },
    Text {
        code: "platform-reset",
        title_zh: "办理平台中断了连接",
        sentence_zh: "负责此事项的平台中途断开。如果您刚提交了内容，请先查看是否已提交成功，再决定是否重新提交。",
        title_en: "The service broke off",
        sentence_en: "The platform in charge broke off the connection. If you were sending something, check first whether it arrived before sending it again.",
    },
    Text {
        code: "platform-garbled",
        title_zh: "办理平台的答复有误",
        sentence_zh: "负责此事项的平台给出了无法识别的答复。请稍后重试；仍不成功时，请联系客服并提供下方编号。",
        title_en: "The service gave an unreadable answer",
        sentence_en: "The platform in charge gave an answer that cannot be read. Try again shortly; if it happens again, tell the help desk the number below.",
    },
    Text {
        code: "platform-busy",
        title_zh: "此事项办理人数较多",
        sentence_zh: "现在办理此事项的人较多，负责的平台一时处理不完，您的登录不受影响。请稍等片刻再试，其他事项可照常办理。",
        title_en: "Many people are using this service right now",
        sentence_en: "The platform in charge has as many requests as it can take. You stay signed in; wait a moment and try again, other services work as usual.",
    },
    Text {
        code: "waiting-room",
        title_zh: "您正在排队",
        sentence_zh: "现在办理此事项的人较多。请保持本页打开，轮到您时会自动进入；关闭本页或长时间离开，可能需要重新排队。您的登录不受影响。",
        title_en: "You are in the queue",
        sentence_en: "Many people are using this service right now. Keep this page open: it lets you in by itself when it is your turn. If you close it or stay away for long, you may have to queue again. You stay signed in.",
    },
    Text {
        code: "overloaded",
        title_zh: "访问人数较多",
        sentence_zh: "现在访问的人较多，请稍等片刻再试。您的登录不受影响。",
        title_en: "Many people are here right now",
        sentence_en: "The gateway is very busy. Wait a moment and try again; you stay signed in.",
    },
    INTERNAL,
];

#[cfg(test)]
pub(super) fn codes() -> impl Iterator<Item = &'static str> {
    TEXTS.iter().map(|text| text.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_there_once_with_words_of_its_own() {
        for text in &TEXTS {
            assert_eq!(codes().filter(|code| *code == text.code).count(), 1, "{}", text.code);
            assert!(text.sentence_zh.ends_with('。') && text.sentence_en.ends_with('.'), "{}", text.code);
            let same_title = |other: &&Text| other.title_en == text.title_en || other.title_zh == text.title_zh;
            assert_eq!(TEXTS.iter().filter(same_title).count(), 1, "{} shares a title", text.code);
        }
    }
}
