#include "tests/bench/raw_nats.hpp"

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

}  // namespace homeward::bench
