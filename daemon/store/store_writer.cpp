#include "daemon/store/store_writer.h"

#include <algorithm>

#include "common/timeouts.h"

namespace jamsock {

namespace {

template <class Answer>
Task<Answer> at_once(Answer answer) {
    co_return answer;
}

}  // namespace

StoreWriter::StoreWriter(std::unique_ptr<Store> own)
    : own_(std::move(own)), store_(*own_), last_event_(store_.last_event()) {
    thread_.emplace();
}

std::unique_ptr<StoreWriter> StoreWriter::on_a_thread(Store store) {
    return std::unique_ptr<StoreWriter>(new StoreWriter(std::make_unique<Store>(std::move(store))));
}

// Those who wait in the queue wait on the same clock as the one that is tried.
template <class Verb>
Task<std::invoke_result_t<Verb, Store&>> StoreWriter::write(Verb verb) {
    if (!thread_) return at_once(verb(store_));
    auto work = [this, verb = std::move(verb), limit = after(timeouts::store_write)] {
        store_.be_patient_until([this, limit] { return std::min(limit, end_.load()); });
        auto answer = verb(store_);
        const std::lock_guard lock(mutex_);
        last_event_ = store_.last_event();
        write_times_ = store_.write_times();
        return answer;
    };
    return thread_->run(std::move(work));
}

Task<Result<>> StoreWriter::acquire_key(const BackendRecord& backend,
                                        const StatusChange& scheduled) {
    return write([=](Store& store) { return store.acquire_key(backend, scheduled); });
}

Task<Result<>> StoreWriter::record_status(const BackendId& backend, const StatusChange& change) {
    return write([=](Store& store) { return store.record_status(backend, change); });
}

Task<Result<>> StoreWriter::give_up_holder(const std::string& backend) {
    return write([=](Store& store) { return store.give_up_holder(backend); });
}

Task<Result<>> StoreWriter::remember_identity(const Store::IssuedToken& token,
                                              const Identity& identity, std::int64_t now) {
    return write([=](Store& store) { return store.remember_identity(token, identity, now); });
}

Task<Result<std::size_t>> StoreWriter::revoke(const Store::IssuedToken& token) {
    return write([=](Store& store) { return store.revoke(token); });
}

Task<Result<std::vector<std::string>>> StoreWriter::revoke_user(const BackendId& backend,
                                                                const std::string& user,
                                                                std::int64_t now) {
    return write([=](Store& store) { return store.revoke_user(backend, user, now); });
}

Task<Result<>> StoreWriter::record_service(const Store::ServiceRow& row) {
    return write([=](Store& store) { return store.record_service(row); });
}

Task<Result<>> StoreWriter::remove_service(const ServiceName& name) {
    return write([=](Store& store) { return store.remove_service(name); });
}

Task<Result<std::size_t>> StoreWriter::forget_fencing_tokens(std::int64_t floor, std::size_t most) {
    return write([=](Store& store) { return store.forget_fencing_tokens(floor, most); });
}

Task<Result<std::vector<BackendId>>> StoreWriter::forget_ended(std::int64_t before,
                                                               std::size_t most) {
    return write([=](Store& store) { return store.forget_ended(before, most); });
}

Task<Result<std::size_t>> StoreWriter::forget_revoked(std::int64_t now, std::size_t most) {
    return write([=](Store& store) { return store.forget_revoked(now, most); });
}

std::int64_t StoreWriter::last_event() const {
    if (!thread_) return store_.last_event();
    const std::lock_guard lock(mutex_);
    return last_event_;
}

Histogram StoreWriter::write_times() const {
    if (!thread_) return store_.write_times();
    const std::lock_guard lock(mutex_);
    return write_times_;
}

void StoreWriter::hurry(std::chrono::milliseconds limit) {
    end_ = after(limit);
}

Task<> StoreWriter::finish() {
    if (thread_) co_await thread_->run([] {});
}

}  // namespace jamsock
