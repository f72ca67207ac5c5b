#include "tests/support/process.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

#include "tests/support/temp_dir.hpp"

namespace homeward::testing {
namespace {

void redirect(const std::filesystem::path& path, int flags, std::initializer_list<int> targets) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
    for (int target : targets) ::dup2(fd, target);
}

[[noreturn]] void become(const std::vector<std::string>& command, const ProcessOptions& options,
                         const passwd* user) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    redirect(options.input.empty() ? "/dev/null" : options.input, O_RDONLY, {0});
    if (!options.log.empty()) redirect(options.log, O_WRONLY | O_CREAT | O_APPEND, {1, 2});
    if (user != nullptr) {
        if (::setgroups(0, nullptr) != 0 || ::setgid(user->pw_gid) != 0 ||
            ::setuid(user->pw_uid) != 0) {
            ::_exit(126);
        }
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // setuid has cleared it
    }
    for (const auto& [name, value] : options.environment) {
        ::setenv(name.c_str(), value.c_str(), 1);
    }
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    std::vector<char*> argv;
    for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
}

/// For the rest of this process; false if another test, or this one, has it.
bool reserve_port(int port) {
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const std::string name = "homeward-test-port-" + std::to_string(port);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data(), name.size());  // the leading NUL: no file
    const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), bytes) == 0) return true;
    ::close(fd);
    return false;
}

}  // namespace

Process::Process(const std::vector<std::string>& command, const ProcessOptions& options) {
    const bool drop = options.drop_privileges && ::getuid() == 0;
    const passwd* user = drop ? ::getpwnam("postgres") : nullptr;
    if (drop && user == nullptr) throw std::runtime_error("there is no user \"postgres\"");
    pid_ = ::fork();
    if (pid_ == 0) become(command, options, user);
    if (pid_ < 0) throw std::runtime_error("fork failed");
}

Process::~Process() {
    if (pid_ > 0) kill();
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), exit_code_(other.exit_code_) {}

Process& Process::operator=(Process&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(exit_code_, other.exit_code_);
    return *this;
}

bool Process::is_running() {
    if (pid_ <= 0) return false;
    return wait(std::chrono::milliseconds(0)) == -1 && pid_ > 0;
}

void Process::signal(int number) const {
    if (pid_ > 0) ::kill(pid_, number);
}

int Process::wait(std::chrono::milliseconds time) {
    const auto deadline = std::chrono::steady_clock::now() + time;
    while (pid_ > 0) {
        int status = 0;
        if (::waitpid(pid_, &status, WNOHANG) == pid_) {
            exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            pid_ = -1;
            break;
        }
        if (std::chrono::steady_clock::now() >= deadline) return -1;
        sleep_ms(5);
    }
    return exit_code_;
}

int Process::stop(std::chrono::milliseconds time, int number) {
    signal(number);
    const int code = wait(time);
    if (code == -1) kill();
    return code;
}

void Process::kill() {
    signal(SIGCONT);
    signal(SIGKILL);
    wait(std::chrono::seconds(10));
}

CommandResult run_command(const std::vector<std::string>& command, ProcessOptions options,
                          std::chrono::milliseconds time) {
    const TempDir dir;
    options.log = dir / "output";
    Process process(command, options);
    CommandResult result;
    result.exit_code = process.wait(time);
    result.output = read_file(options.log);
    return result;
}

// Without SO_REUSEADDR, unlike most servers: where a connection of another test has ended within
// the last minute, a server with SO_REUSEPORT alone, as cpp-httplib's, could not listen.
bool is_port_free(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    const bool is_free = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    return is_free;
}

// Below the range from which the kernel gives ports to outgoing connections: one of these might
// take a server's port while that is restarted. Tests that run side by side tell each other what is
// taken by abstract socket names, which end with the process.
int free_port() {
    constexpr int kPortMin = 10'000;
    constexpr int kPortMax = 19'999;  // from 20,000 on deploy/up takes its own
    constexpr int kTriesMax = 1'000;
    static std::mt19937 random(std::random_device{}());
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    for (int i = 0; i < kTriesMax; ++i) {
        const int port = std::uniform_int_distribution<int>(kPortMin, kPortMax)(random);
        if (is_port_free(port) && reserve_port(port)) return port;
    }
    throw std::runtime_error("no free port");
}

std::string read_file(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

void sleep_ms(int ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

}  // namespace homeward::testing
