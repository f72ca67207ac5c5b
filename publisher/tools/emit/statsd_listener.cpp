#include "publisher/tools/emit/statsd_listener.hpp"

#include <cstddef>
#include <utility>

namespace homeward {
namespace {

/// "lines=9 values=12 refused=2 (type=1, value=1) series=3 folded=0 lost_datagrams=0"
std::string summary_of(const StatsdTally& tally, const MeterStats& stats) {
    std::uint64_t refused = 0;
    std::string causes;
    for (std::size_t i = 0; i < tally.refused.size(); ++i) {
        if (tally.refused[i] == 0) continue;
        refused += tally.refused[i];
        causes += (causes.empty() ? "" : ", ") + std::string(name_of(static_cast<StatsdFault>(i))) +
                  "=" + std::to_string(tally.refused[i]);
    }
    std::string text = "statsd: lines=" + std::to_string(tally.lines) +
                       " values=" + std::to_string(tally.values) +
                       " refused=" + std::to_string(refused);
    if (!causes.empty()) text += " (" + causes + ")";
    if (tally.renamed > 0) text += " renamed=" + std::to_string(tally.renamed);
    return text + " folded_series=" + std::to_string(stats.folded_series) +
           " lost_datagrams=" + std::to_string(tally.datagrams_lost);
}

}  // namespace

StatsdListener::StatsdListener(const EmitCommand& command) : command_(command) {
    for (const ListenAddress& address : command.listen) {
        if (!address.is_statsd) continue;
        if (address.udp.empty()) {
            unix_sockets_.push_back(std::make_unique<ListenSocket>(address, command.socket_mode));
            continue;
        }
        UdpAddress udp;
        if (!UdpAddress::parse(address.udp, udp)) throw SetupError(address.udp + ": no address");
        udp_sockets_.push_back(std::make_unique<UdpSocket>(udp));
    }
}

void StatsdListener::open(Publisher& publisher, StatsdMetrics::Log log) {
    if (unix_sockets_.empty() && udp_sockets_.empty()) return;
    metrics_ = std::make_unique<StatsdMetrics>(publisher, command_.statsd, std::move(log));
    for (const auto& socket : unix_sockets_) {
        receivers_.push_back(std::make_unique<StatsdReceiver>(socket->descriptor(),
                                                              socket->path().string(), *metrics_));
    }
    for (const auto& socket : udp_sockets_) {
        receivers_.push_back(
            std::make_unique<StatsdReceiver>(socket->descriptor(), socket->name(), *metrics_));
    }
}

std::string StatsdListener::finish() {
    if (metrics_ == nullptr) return "";
    metrics_->finish();
    std::string summary = summary_of(metrics_->tally(), metrics_->stats());
    receivers_.clear();
    metrics_.reset();
    return summary;
}

}  // namespace homeward
