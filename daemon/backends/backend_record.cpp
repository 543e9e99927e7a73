#include "daemon/backends/backend_record.h"

#include <sodium.h>

#include "daemon/shim/message.h"

namespace jamsock {

namespace {

constexpr std::string_view verb = "backend";

std::string hex(std::string_view bytes) {
    std::string text(bytes.size() * 2 + 1, '\0');
    ::sodium_bin2hex(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                     bytes.size());
    text.pop_back();
    return text;
}

std::string unhex(std::string_view text) {
    std::string bytes(text.size() / 2, '\0');
    std::size_t length = 0;
    ::sodium_hex2bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), text.data(),
                     text.size(), nullptr, &length, nullptr);
    bytes.resize(length);
    return bytes;
}

std::string sign_field(ReadySign::Kind kind) {
    return std::string("ready_") + word(kind);
}

void add_readiness(Message& message, const ReadinessRule& rule) {
    if (rule.sign) message.add(sign_field(rule.sign->kind()), rule.sign->text());
    if (rule.listen_fd) message.add("listen_fd", std::int64_t{*rule.listen_fd});
    if (rule.port_owner) message.add("port_owner", word(*rule.port_owner));
}

ReadinessRule readiness_in(const Message& message) {
    ReadinessRule rule{.port_owner = port_rule_from_word(message.text("port_owner").value_or(""))};
    if (const auto number = message.number("listen_fd")) rule.listen_fd = *number != 0;
    for (const ReadySign::Kind kind : ReadySign::kinds) {
        const auto text = message.text(sign_field(kind));
        if (text) rule.sign = ReadySign::from_stored(kind, std::string(*text));
    }
    return rule;
}

}  // namespace

std::string BackendRecord::encode() const {
    Message message(verb);
    message.add("id", id.str())
        .add("serial", static_cast<std::int64_t>(serial))
        .add("mac_key", hex(mac_key.reveal()))
        .add("account", service.account())
        .add("service", service.service())
        .add("environment", service.environment())
        .add("lock", lock_name)
        .add("mark", mark)
        .add("token", fencing_token)
        .add("created_at", created_at)
        .add("cwd", command.cwd)
        .add("port", static_cast<std::int64_t>(port));
    const Limits set = limits.as_set();
    const auto add_number = [&](std::string_view name, const std::optional<std::int64_t>& number) {
        if (number) message.add(name, *number);
    };
    add_number("max_idle", set.max_idle);
    add_number("lifetime", set.lifetime);
    add_number("grace", set.grace);
    add_number("startup", set.startup);
    add_number("expires_at_boot", expires_at_boot);
    add_readiness(message, readiness);
    message.add("allow_origins", word(allow_origins));
    if (key) message.add("key", key->str());
    if (tag) message.add("tag", *tag);
    for (const std::string& argument : command.argv)
        message.add("arg", argument);
    return message.encode();
}

std::optional<BackendRecord> BackendRecord::decode(std::string_view bytes) {
    const auto message = Message::decode(bytes);
    if (!message || message->verb() != verb) return std::nullopt;
    const auto text = [&](std::string_view name) { return message->text(name).value_or(""); };
    const auto number = [&](std::string_view name) { return message->number(name).value_or(0); };

    auto id = BackendId::parse(text("id"));
    auto service = ServiceName::parse(text("account"), text("service"), text("environment"));
    auto mac_key = MacKey::from_bytes(unhex(text("mac_key")));
    if (!id || !service || !mac_key || text("lock").empty()) return std::nullopt;

    BackendRecord record{
        .id = *id,
        .serial = static_cast<std::uint64_t>(number("serial")),
        .mac_key = std::move(*mac_key),
        .service = *service,
        .lock_name = std::string(text("lock")),
        .mark = std::string(text("mark")),
        .fencing_token = number("token"),
        .created_at = number("created_at"),
        .command = Command{message->all("arg"), std::string(text("cwd"))},
        .port = static_cast<std::uint16_t>(number("port")),
        .limits = LifeLimits({.max_idle = message->number("max_idle"),
                              .lifetime = message->number("lifetime"),
                              .grace = message->number("grace"),
                              .startup = message->number("startup")}),
        .readiness = readiness_in(*message),
        .allow_origins = origin_rule_from_word(text("allow_origins")).value_or(OriginRule::any),
        .expires_at_boot = message->number("expires_at_boot")};
    if (const auto key = message->text("key")) {
        auto parsed = Key::parse(*key);
        if (!parsed) return std::nullopt;
        record.key = *parsed;
    }
    if (const auto tag = message->text("tag")) record.tag = std::string(*tag);
    return record;
}

}  // namespace jamsock
