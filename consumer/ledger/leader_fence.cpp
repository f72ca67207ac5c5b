#include "consumer/ledger/leader_fence.hpp"

#include <set>

#include "consumer/base/printed_commands.hpp"

namespace homeward::consumer {
namespace {

constexpr std::string_view kPrefix = "acknowledged for PostgreSQL ";
constexpr std::string_view kTimeline = " timeline ";

std::string description_of(const LeaderIdentity& leader) {
    return std::string(kPrefix) + leader.system + std::string(kTimeline) +
           std::to_string(leader.timeline);
}

/// nullopt: of a durable that nothing was acknowledged on.
std::optional<LeaderIdentity> parse(const std::string& description) {
    const std::size_t middle = description.find(kTimeline);
    if (description.rfind(kPrefix, 0) != 0 || middle == std::string::npos) return std::nullopt;
    LeaderIdentity leader;
    leader.system = description.substr(kPrefix.size(), middle - kPrefix.size());
    leader.timeline = std::strtoll(description.c_str() + middle + kTimeline.size(), nullptr, 10);
    return leader;
}

std::string refusal(const LeaderIdentity& leader, const LeaderIdentity& known) {
    const std::string what = leader.system == known.system
                                 ? "it is on timeline " + std::to_string(leader.timeline) +
                                       ", below timeline " + std::to_string(known.timeline)
                                 : "it is another cluster (system identifier " + leader.system +
                                       ") than " + known.system + ",";
    return "this leader is refused: " + what +
           " which messages were acknowledged for and so are gone from their streams. Point "
           "postgres.url at the right one; if this one is meant, as after a restore, run " +
           command::kLeaderAccept;
}

}  // namespace

/// A region that is cut off must not hold up the others, and nothing of it can be acknowledged as
/// long as it is; so one answer is enough.
void LeaderFence::for_each_stream(const std::function<void(const Stream&)>& action) const {
    std::set<std::string> silent;
    std::size_t answers = 0;
    std::string error;
    for (const Stream& stream : streams_) {
        if (silent.count(stream.domain) != 0) continue;
        try {
            action(stream);
            ++answers;
        } catch (const NatsError& caught) {
            silent.insert(stream.domain);
            error = caught.what();
        }
    }
    if (answers == 0) throw NatsError(error);
}

std::optional<LeaderIdentity> LeaderFence::read() const {
    std::optional<LeaderIdentity> newest;
    for_each_stream([&](const Stream& stream) {
        const auto one = parse(read_description(nats_, stream));
        if (one && (!newest || one->timeline > newest->timeline)) newest = one;
    });
    return newest;
}

void LeaderFence::write(const LeaderIdentity& leader) const {
    for_each_stream([&](const Stream& stream) {
        const std::string text = description_of(leader);
        if (read_description(nats_, stream) != text) write_description(nats_, stream, text);
    });
}

LeaderFence::Answer LeaderFence::ask(const LeaderIdentity& leader) {
    const std::lock_guard lock(mutex_);
    try {
        // Asked each time, as another consumer may have seen a failover that we have not.
        const auto known = read();
        if (known && (leader.system != known->system || leader.timeline < known->timeline)) {
            return {Verdict::refused, refusal(leader, *known)};
        }
        if (!known || leader != *known) write(leader);
    } catch (const NatsError& error) {
        return {Verdict::unknown,
                std::string("no stream says which leader is the right one: ") + error.what()};
    }
    admitted_ = leader;
    return {};
}

void LeaderFence::renew() {
    const std::lock_guard lock(mutex_);
    if (admitted_) write(*admitted_);
}

void LeaderFence::accept(const LeaderIdentity& leader) {
    const std::lock_guard lock(mutex_);
    // All of them, or the one that was not told would refuse the leader later.
    for (const Stream& stream : streams_) {
        write_description(nats_, stream, description_of(leader));
    }
}

}  // namespace homeward::consumer
