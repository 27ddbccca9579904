// What the machine protocol asks of the program: the guest as a whole, in the protocol's own terms.
//
// Implemented by the program; everything on its main thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "base/fd.h"
#include "base/result.h"

namespace ringside::qmp {

// What takes longer than a call: asked again and again, until there is a text for the client, empty
// for most, or an error. To destroy one is to ask no more; what it was about may go on.
class Task {
 public:
  virtual ~Task() = default;
  virtual std::optional<Result<std::string>> advance() = 0;
};

enum class RunState : std::uint8_t {
  Running,
  Paused,     // `stop` holds it
  Debug,      // a debugger does
  SavesVm,    // a dump does, until it is written
  Suspended,  // nobody does, and it sleeps (ACPI S3)
};

struct FileName {
  std::string name;
};
using Place = std::variant<FileName, Fd>;

struct MemoryRange {
  std::uint64_t begin = 0, length = 0;
};

struct DumpWish {
  Place place;
  bool linear = false;               // by linear addresses, too
  std::optional<MemoryRange> range;  // not all of physical memory
};

struct DumpState {
  enum class Status : std::uint8_t { None, Active, Completed, Failed } status = Status::None;
  std::uint64_t completed = 0, total = 0;
};

struct MemoryWish {
  std::uint64_t address = 0, size = 0;
  std::string file;
  std::optional<unsigned> vcpu;  // whose linear addresses; nothing: physical ones
};

class Machine {
 public:
  virtual ~Machine() = default;

  // ---- What can be known at any time
  virtual RunState state() const = 0;
  virtual unsigned vcpu_count() const = 0;
  // The host's thread that runs it.
  virtual int thread_of(unsigned vcpu) const = 0;
  virtual bool uses_kvm() const = 0;
  virtual bool has_kvm() const = 0;
  // For the greeting.
  virtual std::string version() const = 0;
  virtual DumpState dump_state() const = 0;

  // ---- What changes it
  virtual std::unique_ptr<Task> stop() = 0;  // done when every vCPU is out of the guest
  virtual void cont() = 0;
  virtual void quit() = 0;  // the machine ends, after what is said has been written
  virtual std::unique_ptr<Task> reset() = 0;
  virtual std::unique_ptr<Task> power_down() = 0;
  virtual std::unique_ptr<Task> wake_up() = 0;  // of a machine that sleeps
  // A line of the human monitor; the text is its output.
  virtual std::unique_ptr<Task> monitor(std::string line, unsigned vcpu) = 0;
  // Begun; it is finished also if nobody asks the task.
  virtual Result<std::unique_ptr<Task>> dump(DumpWish wish) = 0;
  virtual Result<std::unique_ptr<Task>> save_memory(MemoryWish wish) = 0;
};

}  // namespace ringside::qmp
