#include "tests/bench/compared/raw_nats.hpp"

#include <nats/nats.h>

#include <atomic>
#include <stdexcept>

namespace homeward::bench {

class RawNats::Impl {
  public:
    Impl(const std::string& url, std::int64_t pending_max) {
        require(natsConnection_ConnectTo(&connection_, url.c_str()), "cannot connect to " + url);
        jsOptions options;
        jsOptions_Init(&options);
        options.PublishAsync.MaxPending = pending_max;
        options.PublishAsync.AckHandler = &Impl::on_ack;
        options.PublishAsync.AckHandlerClosure = this;
        require(natsConnection_JetStream(&jetstream_, connection_, &options), "no JetStream");
    }
    ~Impl() {
        jsCtx_Destroy(jetstream_);
        natsConnection_Destroy(connection_);
    }

    bool publish(const std::string& subject, std::string_view payload) {
        natsMsg* message = nullptr;
        natsStatus status = natsMsg_Create(&message, subject.c_str(), nullptr, payload.data(),
                                           static_cast<int>(payload.size()));
        if (status == NATS_OK) status = js_PublishMsgAsync(jetstream_, &message, nullptr);
        if (status != NATS_OK) natsMsg_Destroy(message);
        return status == NATS_OK;
    }

    void complete(int time_ms) {
        jsPubOptions options;
        jsPubOptions_Init(&options);
        options.MaxWait = time_ms;
        js_PublishAsyncComplete(jetstream_, &options);
    }

    std::uint64_t acked() const { return acked_.load(std::memory_order_relaxed); }

  private:
    static void require(natsStatus status, const std::string& what) {
        if (status != NATS_OK) throw std::runtime_error(what + ": " + natsStatus_GetText(status));
    }
    static void on_ack(jsCtx*, natsMsg* message, jsPubAck* ack, jsPubAckErr*, void* self) {
        if (ack != nullptr)
            static_cast<Impl*>(self)->acked_.fetch_add(1, std::memory_order_relaxed);
        natsMsg_Destroy(message);
    }

    natsConnection* connection_ = nullptr;
    jsCtx* jetstream_ = nullptr;
    std::atomic<std::uint64_t> acked_{0};
};

RawNats::RawNats(const std::string& url, std::int64_t pending_max)
    : impl_(std::make_unique<Impl>(url, pending_max)) {}
RawNats::~RawNats() = default;
bool RawNats::publish(const std::string& subject, std::string_view payload) {
    return impl_->publish(subject, payload);
}
std::uint64_t RawNats::acked() const {
    return impl_->acked();
}
void RawNats::complete(int time_ms) {
    impl_->complete(time_ms);
}

std::uint64_t fetch_all(const std::string& url, const std::string& stream,
                        const std::string& durable, std::uint64_t messages) {
    constexpr int kFetch = 256;
    constexpr std::int64_t kPatienceMs = 5'000;
    natsConnection* connection = nullptr;
    jsCtx* jetstream = nullptr;
    natsSubscription* subscription = nullptr;
    jsSubOptions options;
    jsSubOptions_Init(&options);
    options.Stream = stream.c_str();
    options.Consumer = durable.c_str();  // bound, not made: it stays when we go
    natsStatus status = natsConnection_ConnectTo(&connection, url.c_str());
    if (status == NATS_OK) status = natsConnection_JetStream(&jetstream, connection, nullptr);
    if (status == NATS_OK) {
        status = js_PullSubscribe(&subscription, jetstream, "", durable.c_str(), nullptr, &options,
                                  nullptr);
    }
    std::uint64_t fetched = 0;
    while (status == NATS_OK && fetched < messages) {
        natsMsgList list{};
        status = natsSubscription_Fetch(&list, subscription, kFetch, kPatienceMs, nullptr);
        for (int i = 0; i < list.Count; ++i) natsMsg_Ack(list.Msgs[i], nullptr);
        fetched += static_cast<std::uint64_t>(list.Count);
        natsMsgList_Destroy(&list);
    }
    natsSubscription_Destroy(subscription);
    if (jetstream != nullptr) jsCtx_Destroy(jetstream);
    natsConnection_Destroy(connection);
    return fetched;
}

}  // namespace homeward::bench
