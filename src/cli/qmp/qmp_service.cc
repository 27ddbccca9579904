#include "cli/qmp/qmp_service.h"

#include <sys/stat.h>

#include <chrono>
#include <utility>

namespace ringside::cli {
namespace {

qmp::Moment now() {
  using std::chrono::microseconds;
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  const std::int64_t count = std::chrono::duration_cast<microseconds>(since).count();
  return {count / 1'000'000, count % 1'000'000};
}

bool is_file_or_pipe(const Fd& fd) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return false;
  return S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode);
}

}  // namespace

Result<std::unique_ptr<QmpService>> QmpService::open(EventLoop& loop,
                                                     const transport::Endpoint& endpoint,
                                                     QmpSubjects subjects, Admission admission) {
  // The machine is made with what it tells of, and the service has both.
  const auto self = std::make_shared<QmpService*>(nullptr);
  subjects.tell = [self](const qmp::Event& event) { (*self)->tell(event); };
  std::unique_ptr<QmpService> made(new QmpService(std::move(subjects)));
  *self = made.get();
  made->client_ =
      TRY(transport::SingleClient::open(loop, endpoint, "qmp", *made, std::move(admission)));
  made->client_->let_further_wait();
  return made;
}

void QmpService::settle() {
  machine_.settle();
  if (session_) session_->work();
  client_->update();
}

bool QmpService::has_work() const {
  return machine_.has_work() || (session_ && session_->has_work());
}

void QmpService::tell(const qmp::Event& event) {
  if (session_) session_->tell(event);
}

void QmpService::on_connected() { session_.emplace(machine_, now); }

void QmpService::on_bytes(std::span<const std::byte> bytes) {
  session_->on_bytes({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void QmpService::on_descriptors(std::vector<Fd> descriptors) {
  std::erase_if(descriptors, [](const Fd& fd) { return !is_file_or_pipe(fd); });
  session_->on_descriptors(std::move(descriptors));
}

}  // namespace ringside::cli
