#include "tests/publisher/replay/scripted_postgres.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

namespace homeward::testing {
namespace {

std::string int16(std::size_t number) {
    return {static_cast<char>(number >> 8 & 0xff), static_cast<char>(number & 0xff)};
}

std::string int32(std::size_t number) {
    return int16(number >> 16) + int16(number & 0xffff);
}

/// A text with the zero that ends it.
std::string zero_ended(const std::string& text) {
    return text + '\0';
}

std::string message(char type, const std::string& body) {
    return type + int32(body.size() + 4) + body;
}

bool read_all(int client, char* bytes, std::size_t size) {
    while (size > 0) {
        const ssize_t got = ::recv(client, bytes, size, 0);
        if (got <= 0) return false;
        bytes += got;
        size -= static_cast<std::size_t>(got);
    }
    return true;
}

/// A length that counts itself, and the rest.
bool read_body(int client, std::string& body) {
    unsigned char size[4];
    if (!read_all(client, reinterpret_cast<char*>(size), sizeof size)) return false;
    const std::size_t bytes = std::size_t{size[0]} << 24 | std::size_t{size[1]} << 16 |
                              std::size_t{size[2]} << 8 | size[3];
    if (bytes < 4 || bytes > 1'000'000) return false;
    body.resize(bytes - 4);
    return read_all(client, body.data(), body.size());
}

void send_all(int client, const std::string& bytes) {
    [[maybe_unused]] const ssize_t sent = ::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

std::string row_messages(const std::vector<std::string>& row) {
    std::string description = int16(row.size());
    std::string data = int16(row.size());
    for (const std::string& column : row) {
        constexpr std::size_t kText = 25;
        description += zero_ended("column") + int32(0) + int16(0) + int32(kText) + int16(0xffff) +
                       int32(0xffffffff) + int16(0);
        data += int32(column.size()) + column;
    }
    return message('T', description) + message('D', data) + message('C', zero_ended("SELECT 1"));
}

std::string messages_of(const ScriptedAnswer& answer) {
    if (answer.is_silent) return "";
    const std::string ready = message('Z', answer.is_in_transaction ? "T" : "I");
    if (answer.sqlstate.empty()) return row_messages(answer.row) + ready;
    const std::string fields =
        zero_ended("SERROR") + zero_ended("C" + answer.sqlstate) + zero_ended("Mrefused") + '\0';
    return message('E', fields) + ready;
}

}  // namespace

ScriptedPostgres::ScriptedPostgres(std::string version, Script script)
    : version_(std::move(version)),
      script_(std::move(script)),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 8) != 0 ||
        ::getsockname(listener_, generic, &size) != 0) {
        throw std::runtime_error("a scripted server got no port");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
}

ScriptedPostgres::~ScriptedPostgres() {
    is_ending_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    if (const int client = client_; client >= 0) ::shutdown(client, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
}

std::string ScriptedPostgres::url() const {
    return "postgres://app@127.0.0.1:" + std::to_string(port_) +
           "/shop?sslmode=disable&gssencmode=disable";
}

std::vector<std::string> ScriptedPostgres::statements() const {
    const std::lock_guard lock(mutex_);
    return statements_;
}

void ScriptedPostgres::run() {
    while (!is_ending_) {
        const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (client < 0) continue;
        client_ = client;
        ++connections_;
        if (!is_ending_ && greet(client)) serve(client);
        client_ = -1;
        ::close(client);
    }
}

bool ScriptedPostgres::greet(int client) const {
    std::string startup;
    if (!read_body(client, startup)) return false;
    send_all(client, message('R', int32(0)) +
                         message('S', zero_ended("server_version") + zero_ended(version_)) +
                         message('S', zero_ended("client_encoding") + zero_ended("UTF8")) +
                         message('K', int32(1) + int32(2)) + message('Z', "I"));
    return true;
}

void ScriptedPostgres::serve(int client) {
    char type = 0;
    std::string body;
    while (read_all(client, &type, 1) && read_body(client, body) && type == 'Q') {
        const std::string sql = body.c_str();
        {
            const std::lock_guard lock(mutex_);
            statements_.push_back(sql);
        }
        send_all(client, messages_of(script_(sql)));
    }
}

}  // namespace homeward::testing
