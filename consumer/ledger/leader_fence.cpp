#include "consumer/ledger/leader_fence.hpp"

#include <algorithm>
#include <atomic>
#include <future>
#include <map>

#include "consumer/base/printed_commands.hpp"

namespace homeward::consumer {
namespace {

constexpr std::string_view kPrefix = "acknowledged for PostgreSQL ";
constexpr std::string_view kTimeline = " timeline ";
/// Domains that are asked at the same time.
constexpr std::size_t kDomainsAtOnce = 8;

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

/// The streams of one domain: one link.
struct Domain {
    std::vector<std::size_t> streams;  ///< their places among all
    std::size_t answers = 0;
    std::string error{};

    /// Stops at the first error: the domain's other streams would only take their time.
    void visit(const std::function<void(std::size_t)>& action) {
        try {
            for (const std::size_t stream : streams) {
                action(stream);
                ++answers;
            }
        } catch (const NatsError& caught) {
            error = caught.what();
        }
    }
};

/// In the order of the first stream of each.
std::vector<Domain> domains_of(const std::vector<Stream>& streams) {
    std::vector<Domain> domains;
    std::map<std::string, std::size_t> places;
    for (std::size_t i = 0; i < streams.size(); ++i) {
        const auto [place, is_new] = places.try_emplace(streams[i].domain, domains.size());
        if (is_new) domains.emplace_back();
        domains[place->second].streams.push_back(i);
    }
    return domains;
}

}  // namespace

/// Each region is across a link of its own, so their domains are asked at the same time, the
/// streams of one in their order. A region that is cut off must not hold up the others, and nothing
/// of it can be acknowledged as long as it is; so one answer is enough.
void LeaderFence::for_each_stream(const std::function<void(std::size_t)>& action) const {
    std::vector<Domain> domains = domains_of(streams_);
    std::atomic<std::size_t> next{0};
    const auto visit_domains = [&] {
        for (std::size_t i = next++; i < domains.size(); i = next++) domains[i].visit(action);
    };
    std::vector<std::future<void>> others;
    while (others.size() + 1 < std::min(domains.size(), kDomainsAtOnce)) {
        others.push_back(std::async(std::launch::async, visit_domains));
    }
    visit_domains();
    for (std::future<void>& other : others) other.get();
    const bool has_answer = std::any_of(domains.begin(), domains.end(),
                                        [](const Domain& domain) { return domain.answers > 0; });
    if (!has_answer) throw NatsError(domains.empty() ? "" : domains.back().error);
}

std::optional<LeaderIdentity> LeaderFence::read() const {
    std::vector<std::optional<LeaderIdentity>> known(streams_.size());
    for_each_stream([&](std::size_t i) { known[i] = parse(read_description(nats_, streams_[i])); });
    std::optional<LeaderIdentity> newest;
    for (const auto& one : known) {
        if (one && (!newest || one->timeline > newest->timeline)) newest = one;
    }
    return newest;
}

void LeaderFence::write(const LeaderIdentity& leader) const {
    const std::string text = description_of(leader);
    for_each_stream([&](std::size_t i) { write_description(nats_, streams_[i], text); });
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
