(() => {
  const form = document.getElementById("passkey");
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const options = JSON.parse(form.dataset.options).publicKey;
  options.challenge = bytes(options.challenge);
  if (options.user) options.user.id = bytes(options.user.id);
  for (const known of [...(options.excludeCredentials || []), ...(options.allowCredentials || [])]) known.id = bytes(known.id);
  form.querySelector("button").addEventListener("click", async () => {
    try {
      const create = form.dataset.kind === "create";
      const made = await navigator.credentials[create ? "create" : "get"]({ publicKey: options });
      const answer = { id: made.id, rawId: text(made.rawId), type: made.type, extensions: {}, response: {} };
      for (const part of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
        if (made.response[part]) answer.response[part] = text(made.response[part]);
      form.elements.answer.value = JSON.stringify(answer);
      form.submit();
    } catch (error) {
      const problem = document.getElementById("passkey-problem");
      problem.dataset.error = String(error);
      problem.hidden = false;
    }
  });
})();
