#include "sandbox/keeper.h"

#include <limits.h>

#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "base/log.h"
#include "sandbox/companion.h"
#include "sandbox/messages.h"
#include "sandbox/system_calls.h"
#include "sandbox/user.h"

namespace ringside::sandbox {
namespace {

Answer failed(const Error& error) {
  Answer answer;
  answer.code = error.code();
  answer.text = error.text();
  return answer;
}

// ---- In the process that runs the guest

class Line {
 public:
  explicit Line(Fd socket) : socket_(std::move(socket)) {}
  Answer ask(const Request& request) {
    if (send(socket_.get(), request)) {
      if (auto answer = receive_answer(socket_.get())) return *std::move(answer);
    }
    Answer none =
        failed(Error(ErrorCode::System, "the process that keeps the right to open files is gone"));
    none.errno_value = EPIPE;
    return none;
  }

 private:
  Fd socket_;
};

Result<void> result_of(const Answer& answer) {
  if (answer.code) return fail(*answer.code, answer.text);
  return {};
}

class KeptFolder final : public Folder {
 public:
  KeptFolder(Line& line, FolderOf which) : line_(line), which_(which) {}

  Result<void> check(const std::string& name, FileKind kind) override {
    return result_of(ask(Wish::Check, name, kind));
  }
  Result<NewFile> create(const std::string& name, FileKind kind) override {
    Answer answer = ask(Wish::Create, name, kind);
    if (answer.code && answer.number != 0) {  // it is made, and could not be received
      discard(answer.number);
      return fail(cannot_write(name, answer.errno_value));
    }
    TRY(result_of(answer));
    return NewFile{std::move(answer.fd), answer.number};
  }
  Result<void> finish(std::uint32_t number) override {
    return result_of(line_.ask({Wish::Finish, which_, {}, number, {}}));
  }
  void discard(std::uint32_t number) override {
    (void)line_.ask({Wish::Discard, which_, {}, number, {}});
  }
  Fd open_module(const std::string& name) override {
    return std::move(ask(Wish::OpenModule, name, {}).fd);
  }

 private:
  Answer ask(Wish wish, const std::string& name, FileKind kind) {
    // What no file system has need not be asked for.
    if (name.size() <= NAME_MAX) return line_.ask({wish, which_, kind, 0, name});
    return failed(Error::from_errno("'" + name + "'", ENAMETOOLONG));
  }

  Line& line_;
  FolderOf which_;
};

// Until the guest begins, this process has all its rights and need not wait for another one.
class KeptOutside final : public Outside {
 public:
  KeptOutside(Fd socket, const Names& names)
      : line_(std::move(socket)), own_(names), confinement_(names.rights.confinement) {}

  tl::expected<Fd, int> open_input(const std::string& path) override {
    if (own_) return own_->open_input(path);
    Answer answer = line_.ask({Wish::OpenInput, {}, {}, 0, path});
    if (answer.code) return tl::unexpected<int>(answer.errno_value);
    return std::move(answer.fd);
  }
  // The keeper has opened it for itself: whether that can be done is what is asked here.
  Result<void> open_folder(FolderOf which) override { return own_->open_folder(which); }
  Folder& folder(FolderOf which) override { return folders_[static_cast<std::size_t>(which)]; }
  bool listens_for_us() const override { return true; }
  Result<Fd> listen(const std::string& endpoint) override {
    Answer answer = line_.ask({Wish::Listen, {}, {}, 0, endpoint});
    TRY(result_of(answer));
    return std::move(answer.fd);
  }
  Result<void> begin() override {
    own_.reset();
    const Answer answer = line_.ask({Wish::Begin, {}, {}, 0, {}});
    TRY(result_of(answer));
    if (answer.text.empty()) return {};
    const std::string keeps = "the process that opens files keeps its rights: " + answer.text;
    if (confinement_ == Confinement::Required) return fail(ErrorCode::NotSupported, keeps);
    log::warning("sandbox: {}", keeps);
    return {};
  }
  void remove_socket(const std::string& path) override {
    (void)line_.ask({Wish::RemoveSocket, {}, {}, 0, path});
  }
  void end() override { (void)line_.ask({Wish::End, {}, {}, 0, {}}); }

 private:
  Line line_;
  std::optional<HostOutside> own_;
  Confinement confinement_;
  std::array<KeptFolder, kFolders> folders_{KeptFolder(line_, FolderOf::Files),
                                            KeptFolder(line_, FolderOf::Save),
                                            KeptFolder(line_, FolderOf::Dump)};
};

// ---- In the keeper

Answer done(const Result<void>& result) { return result ? Answer() : failed(result.error()); }

Answer serve(Outside& outside, const Request& request, const std::string& user) {
  Folder& folder = outside.folder(request.folder);
  Answer answer;
  switch (request.wish) {
    case Wish::OpenInput: {
      auto file = outside.open_input(request.text);
      if (file) {
        answer.fd = *std::move(file);
      } else {
        answer.code = ErrorCode::System;
        answer.errno_value = file.error();
      }
      return answer;
    }
    case Wish::Check:
      return done(folder.check(request.text, request.kind));
    case Wish::Create: {
      auto file = folder.create(request.text, request.kind);
      if (!file) return failed(file.error());
      answer.fd = std::move(file->fd);
      answer.number = file->number;
      return answer;
    }
    case Wish::Finish:
      return done(folder.finish(request.number));
    case Wish::Discard:
      folder.discard(request.number);
      return answer;
    case Wish::OpenModule:
      answer.fd = folder.open_module(request.text);
      return answer;
    case Wish::Listen: {
      auto socket = outside.listen(request.text);
      if (!socket) return failed(socket.error());
      answer.fd = *std::move(socket);
      return answer;
    }
    case Wish::Begin: {
      Result<void> begun = outside.begin();
      if (begun && !user.empty()) begun = become(user);
      return done(begun);
    }
    case Wish::RemoveSocket:
      outside.remove_socket(request.text);
      return answer;
    case Wish::End:
      outside.end();
      return answer;
  }
  return answer;
}

}  // namespace

void keep(int socket, Outside& outside, const std::string& user,
          const std::function<Result<void>()>& guest_begins) {
  while (const auto request = receive_request(socket)) {
    Answer answer = serve(outside, *request, user);
    if (request->wish == Wish::Begin && !answer.code) {
      if (const Result<void> begun = guest_begins(); !begun) answer.text = begun.error().text();
    }
    if (!send(socket, answer)) break;
  }
  outside.end();
}

Result<std::unique_ptr<Outside>> start_keeper(const Names& names) {
  Fd socket =
      TRY(start_companion("ringside-keeper", CompanionSocket::Packets, [&](CompanionFiles files) {
        HostOutside outside(names);
        for (const FolderOf which : {FolderOf::Files, FolderOf::Save, FolderOf::Dump})
          (void)outside.open_folder(which);
        // Before anything of the guest can be in a request.
        keep(files.socket, outside, names.rights.user, forbid_what_nobody_needs);
      }));
  return std::make_unique<KeptOutside>(std::move(socket), names);
}

}  // namespace ringside::sandbox
