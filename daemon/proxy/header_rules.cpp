#include "daemon/proxy/header_rules.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "common/error.h"
#include "daemon/http/ascii.h"
#include "daemon/http/scan.h"
#include "daemon/proxy/tokens.h"

namespace jamsock {

namespace {

constexpr std::string_view verified_prefix = "x-verified-";
constexpr std::string_view forwarded_prefix = "x-forwarded-";
constexpr std::string_view forwarded_for = "x-forwarded-for";
constexpr std::string_view forwarded_proto = "x-forwarded-proto";
constexpr std::string_view backend_id_field = "x-jamsock-backend-id";

constexpr std::string_view cors_lines =
    "access-control-allow-origin: *\r\n"
    "access-control-allow-methods: *\r\n"
    "access-control-allow-headers: *, Authorization\r\n";

constexpr ByteSet base64url = bytes_where(&may_be_of_token);

// In small letters, and what is no letter or digit as a dash: gateways such as CGI and WSGI give
// "X_Verified_Path", some also "x.verified.path", to the program under one name.
constexpr char canonical(char c) {
    const char small = to_lower(c);
    return is_digit(c) || (small >= 'a' && small <= 'z') ? small : '-';
}

bool begins_with(std::string_view name, std::string_view canonical_prefix) {
    return name.size() >= canonical_prefix.size() &&
           std::equal(canonical_prefix.begin(), canonical_prefix.end(), name.begin(),
                      [](char ours, char theirs) { return ours == canonical(theirs); });
}

bool is_same(std::string_view name, std::string_view other) {
    return std::ranges::equal(name, other, {}, canonical, canonical);
}

// As a gateway would read it.
FieldName known_name(const Field& field) {
    if (!field.is_odd) return field.known;
    std::string name(field.name);
    std::ranges::transform(name, name.begin(), canonical);
    return field_name(name);
}

// The Host can't be taken from a request by naming it.
bool is_named_by_connection(const std::vector<Field>& fields, const Field& field) {
    bool is_named = false;
    for (const Field& connection : fields) {
        if (connection.known != FieldName::connection) continue;
        for_each_element(connection.value,
                         [&](std::string_view option) { is_named |= is_same(field.name, option); });
    }
    return is_named && field.known != FieldName::host;
}

// RFC 9110, 7.6.1, and what RFC 9112 frames a message with: what is between each two neighbours.
bool is_hop_by_hop(FieldName name) {
    switch (name) {
        case FieldName::connection:
        case FieldName::content_length:
        case FieldName::expect:
        case FieldName::keep_alive:
        case FieldName::proxy_authenticate:
        case FieldName::proxy_authorization:
        case FieldName::proxy_connection:
        case FieldName::te:
        case FieldName::trailer:
        case FieldName::transfer_encoding:
        case FieldName::upgrade:
            return true;
        default:
            return false;
    }
}

// Only names that begin so are the proxy's own.
bool begins_with_x(const Field& field) {
    return to_lower(field.name.front()) == 'x';
}

// What the proxy says in the client's place.
bool is_told_to_backend(const Field& field) {
    return begins_with_x(field) &&
           (begins_with(field.name, verified_prefix) || is_same(field.name, forwarded_for) ||
            is_same(field.name, forwarded_proto));
}

bool is_backend_id(const Field& field) {
    return begins_with_x(field) && is_same(field.name, backend_id_field);
}

// Writes behind a string's end, of whose room it takes much at once and gives back the rest.
class Writer {
  public:
    explicit Writer(std::string& out) : out_(out) { take_room(0); }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    ~Writer() { out_.resize(size()); }

    template <class... Texts>
    void put(const Texts&... texts) {
        const std::size_t size = (std::string_view(texts).size() + ...);
        if (static_cast<std::size_t>(end_ - at_) < size) take_room(size);
        (copy(texts), ...);
    }

  private:
    static constexpr std::size_t usual_head = 1024;

    std::size_t size() const { return static_cast<std::size_t>(at_ - out_.data()); }
    void copy(std::string_view text) { at_ = std::copy(text.begin(), text.end(), at_); }
    void take_room(std::size_t least) {
        const std::size_t written = at_ == nullptr ? out_.size() : size();
        out_.resize(written + least + usual_head);
        at_ = out_.data() + written;
        end_ = out_.data() + out_.size();
    }

    std::string& out_;
    char* at_ = nullptr;
    char* end_ = nullptr;
};

void put_number(Writer& out, std::string_view name, std::uint64_t number, std::string_view rest) {
    std::array<char, 20> digits;
    const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    out.put(name, std::string_view(digits.data(), end), rest);
}

// The line of a plain field.
std::string_view line_of(const Field& field) {
    return {field.name.data(), field.value.data() + field.value.size() + 2};
}

// The fields that pass. Neighbours whose lines are as they would be written go in one piece.
void put_where(Writer& out, const std::vector<Field>& fields, auto passes) {
    std::string_view run;
    for (const Field& field : fields) {
        if (!passes(field)) continue;
        if (field.is_plain && field.name.data() == run.data() + run.size()) {
            run = {run.data(), line_of(field).data() + line_of(field).size()};
            continue;
        }
        out.put(run);
        run = field.is_plain ? line_of(field) : std::string_view();
        if (!field.is_plain) out.put(field.name, ": ", field.value, "\r\n");
    }
    out.put(run);
}

void put_end_to_end(Writer& out, const auto& head, auto is_ours) {
    put_where(out, head.fields, [&](const Field& field) {
        return !is_hop_by_hop(known_name(field)) && !is_ours(field) &&
               !(head.names_hop_fields && is_named_by_connection(head.fields, field));
    });
}

void put_length(Writer& out, std::uint64_t length) {
    put_number(out, "Content-Length: ", length, "\r\n");
}

// With what the chunks' trailers are announced to be.
void put_chunked(Writer& out, const std::vector<Field>& fields) {
    out.put("Transfer-Encoding: chunked\r\n");
    put_where(out, fields, [](const Field& field) { return field.known == FieldName::trailer; });
}

void put_verified(Writer& out, const VerifiedFields& verified) {
    out.put("x-forwarded-for: ", verified.client_address, "\r\nx-forwarded-proto: http\r\n");
    if (verified.user && is_exact_as_value(*verified.user)) {
        out.put("x-verified-username: ", *verified.user, "\r\n");
    }
    const std::string_view auth = verified.auth.value_or("{}");
    if (is_exact_as_value(auth)) out.put("x-verified-user-data: ", auth, "\r\n");
    out.put("x-verified-path: ", verified.path, "\r\nx-verified-backend: ", verified.backend_id,
            "\r\nx-verified-secret: ", verified.secret, "\r\n");
}

void put_upgrade(Writer& out, std::string_view protocols) {
    out.put("Connection: Upgrade\r\nUpgrade: ", protocols, "\r\n");
}

void put_status_line(Writer& out, int status, std::string_view reason) {
    put_number(out, "HTTP/1.1 ", static_cast<std::uint64_t>(status), " ");
    out.put(reason, "\r\n");
}

void put_end(Writer& out, bool keep_alive) {
    if (keep_alive) {
        out.put("Connection: keep-alive\r\n\r\n");
    } else {
        out.put("Connection: close\r\n\r\n");
    }
}

bool has_cors(const std::vector<Field>& fields) {
    return std::ranges::any_of(
        fields, [](const Field& field) { return field.known == FieldName::access_control; });
}

// What must stand in a head, or nowhere: it frames, routes, identifies, or tells how to read
// (RFC 9110, 6.5.1).
bool belongs_into_head(const Field& field) {
    static constexpr std::array prefixes{
        verified_prefix,
        forwarded_prefix,
        std::string_view("content-"),
        std::string_view("access-control-"),
        std::string_view("if-"),
        std::string_view("proxy-"),
        std::string_view("sec-"),
    };
    static constexpr std::array names{
        backend_id_field,
        std::string_view("age"),
        std::string_view("authorization"),
        std::string_view("cache-control"),
        std::string_view("cookie"),
        std::string_view("date"),
        std::string_view("expires"),
        std::string_view("forwarded"),
        std::string_view("host"),
        std::string_view("location"),
        std::string_view("max-forwards"),
        std::string_view("origin"),
        std::string_view("pragma"),
        std::string_view("range"),
        std::string_view("retry-after"),
        std::string_view("set-cookie"),
        std::string_view("vary"),
        std::string_view("warning"),
        std::string_view("www-authenticate"),
    };
    const auto is_it = [&](std::string_view name) { return is_same(field.name, name); };
    const auto begins = [&](std::string_view prefix) { return begins_with(field.name, prefix); };
    return is_hop_by_hop(known_name(field)) || std::ranges::any_of(names, is_it) ||
           std::ranges::any_of(prefixes, begins);
}

}  // namespace

bool is_exact_as_value(std::string_view text) {
    return find_control(text) == text.size() && !text.starts_with(' ') && !text.ends_with(' ');
}

std::optional<SplitTarget> split_target(std::string_view target) {
    const std::string_view token = target.substr(1, ConnectionToken::text_size);
    const std::string_view rest = target.substr(1 + token.size());
    const auto is_base64url = [](char c) { return contains(base64url, c); };
    if (token.size() != ConnectionToken::text_size || !std::ranges::all_of(token, is_base64url) ||
        !(rest.empty() || rest.front() == '/' || rest.front() == '?')) {
        return std::nullopt;
    }
    return SplitTarget{.token = token, .path = target.substr(0, target.find('?')), .rest = rest};
}

std::optional<std::string_view> token_in_beginning(std::string_view head) {
    constexpr std::string_view scheme = "http://";
    const auto method_end = head.find(' ');
    if (method_end == std::string_view::npos) return std::nullopt;
    std::string_view target = head.substr(method_end + 1);
    if (equal_ignoring_case(target.substr(0, scheme.size()), scheme)) {
        target.remove_prefix(std::min(target.find('/', scheme.size()), target.size()));
    }
    target = target.substr(0, target.find(' '));
    if (!target.starts_with('/')) return std::nullopt;
    const auto split = split_target(target);
    if (!split) return std::nullopt;
    return split->token;
}

void append_backend_request_head(std::string& out, const RequestHead& head, std::string_view rest,
                                 const VerifiedFields& verified) {
    Writer writer(out);
    writer.put(head.method, rest.starts_with('/') ? " " : " /", rest, " HTTP/1.1\r\n");
    if (head.host.data() == nullptr) writer.put("Host: \r\n");
    put_end_to_end(writer, head, is_told_to_backend);
    put_verified(writer, verified);
    if (head.wants_upgrade) put_upgrade(writer, head.upgrade);
    if (head.expects_continue && head.has_body()) writer.put("Expect: 100-continue\r\n");
    if (head.is_chunked) put_chunked(writer, head.fields);
    if (head.content_length) put_length(writer, *head.content_length);
    writer.put("\r\n");
}

void append_client_response_head(std::string& out, const ResponseHead& head, Framing framing,
                                 bool keep_alive, std::string_view backend_id) {
    Writer writer(out);
    put_status_line(writer, head.status, head.reason);
    put_end_to_end(writer, head, is_backend_id);
    writer.put("x-jamsock-backend-id: ", backend_id, "\r\n");
    if (head.status == 101) put_upgrade(writer, head.upgrade);
    if (head.status < 200) return writer.put("\r\n");
    if (!has_cors(head.fields)) writer.put(cors_lines);
    const bool says_length =
        (framing == Framing::length || framing == Framing::none) && head.status != 204;
    if (says_length && head.content_length) put_length(writer, *head.content_length);
    if (framing == Framing::chunked) put_chunked(writer, head.fields);
    put_end(writer, keep_alive && framing != Framing::until_close);
}

void append_trailers(std::string& out, const std::vector<Field>& trailers) {
    Writer writer(out);
    put_where(writer, trailers, [](const Field& field) { return !belongs_into_head(field); });
}

std::string own_response_head(int status, std::string_view content_type, std::size_t body_size,
                              bool keep_alive) {
    std::string out;
    {
        Writer writer(out);
        put_status_line(writer, status, http_reason(status));
        writer.put("Content-Type: ", content_type, "\r\n", cors_lines);
        put_length(writer, body_size);
        put_end(writer, keep_alive);
    }
    return out;
}

}  // namespace jamsock
