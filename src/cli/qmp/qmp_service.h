// The machine protocol's socket with the machine behind it. One client at a time: who connects
// meanwhile waits until that has gone. What a client has brought about stays when it goes, a guest
// that it has stopped too.
//
// Owned by the program; main thread.
#pragma once

#include <memory>
#include <optional>

#include "base/result.h"
#include "cli/qmp/qmp_machine.h"
#include "qmp/session.h"
#include "transport/single_client.h"

namespace ringside::cli {

class QmpService final : public transport::ClientHandler {
 public:
  // `subjects.tell` is set here.
  static Result<std::unique_ptr<QmpService>> open(EventLoop& loop,
                                                  const transport::Endpoint& endpoint,
                                                  QmpSubjects subjects, Admission admission);

  // After the debug server's turn: goes on with what takes long, serves what has come, and writes.
  void settle();
  // settle() has more to do, though nothing comes from outside.
  bool has_work() const;
  bool is_writing() const { return machine_.is_writing(); }
  bool wants_vm_end() const { return machine_.wants_vm_end(); }
  void tell(const qmp::Event& event);
  // Where it listens.
  const transport::Endpoint& endpoint() const { return *client_->endpoint(); }

  // ---- ClientHandler
  void on_connected() override;
  void on_bytes(std::span<const std::byte> bytes) override;
  void on_disconnected() override { session_.reset(); }
  std::string_view output() const override { return session_ ? session_->output() : ""; }
  void wrote(std::size_t count) override { session_->wrote(count); }
  std::size_t room() const override { return session_ ? session_->room() : 0; }
  bool wants_descriptors() const override { return true; }
  // Files and pipes are taken. A socket could be the client's own end of this connection, which
  // would then never end: it could not be told that the client has gone.
  void on_descriptors(std::vector<Fd> descriptors) override;

 private:
  explicit QmpService(QmpSubjects subjects) : machine_(std::move(subjects)) {}

  QmpMachine machine_;
  std::optional<qmp::Session> session_;
  std::unique_ptr<transport::SingleClient> client_;
};

}  // namespace ringside::cli
