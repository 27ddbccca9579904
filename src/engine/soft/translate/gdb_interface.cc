#include "engine/soft/translate/gdb_interface.h"

#include <mutex>
#include <utility>

// Names, types and values are GDB's.
// NOLINTBEGIN(readability-identifier-naming, bugprone-reserved-identifier)
extern "C" {

struct jit_code_entry {
  jit_code_entry* next_entry = nullptr;
  jit_code_entry* prev_entry = nullptr;
  const char* symfile_addr = nullptr;
  std::uint64_t symfile_size = 0;
};

struct jit_descriptor {
  std::uint32_t version = 1;
  std::uint32_t action_flag = 0;
  jit_code_entry* relevant_entry = nullptr;
  jit_code_entry* first_entry = nullptr;
};

// The debugger has a breakpoint in it, and looks at the descriptor then.
[[gnu::noinline, gnu::used]] void __jit_debug_register_code() { asm volatile("" ::: "memory"); }

[[gnu::used]] jit_descriptor __jit_debug_descriptor;
}
// NOLINTEND(readability-identifier-naming, bugprone-reserved-identifier)

namespace ringside::soft {
namespace {

enum Action : std::uint32_t { kNothing, kRegister, kUnregister };

std::mutex& lock() {
  static std::mutex mutex;
  return mutex;
}

void tell(Action action, jit_code_entry& entry) {
  __jit_debug_descriptor.action_flag = action;
  __jit_debug_descriptor.relevant_entry = &entry;
  __jit_debug_register_code();
  __jit_debug_descriptor.action_flag = kNothing;
  __jit_debug_descriptor.relevant_entry = nullptr;
}

}  // namespace

struct GdbObjectFile::Entry : jit_code_entry {
  std::vector<std::uint8_t> image;
};

GdbObjectFile::GdbObjectFile(std::vector<std::uint8_t> image) : entry_(std::make_unique<Entry>()) {
  const std::lock_guard guard(lock());
  entry_->image = std::move(image);
  entry_->symfile_addr = reinterpret_cast<const char*>(entry_->image.data());
  entry_->symfile_size = entry_->image.size();
  entry_->next_entry = __jit_debug_descriptor.first_entry;
  if (entry_->next_entry != nullptr) entry_->next_entry->prev_entry = entry_.get();
  __jit_debug_descriptor.first_entry = entry_.get();
  tell(kRegister, *entry_);
}

GdbObjectFile::~GdbObjectFile() {
  const std::lock_guard guard(lock());
  jit_code_entry* const before = entry_->prev_entry;
  (before != nullptr ? before->next_entry : __jit_debug_descriptor.first_entry) =
      entry_->next_entry;
  if (entry_->next_entry != nullptr) entry_->next_entry->prev_entry = before;
  tell(kUnregister, *entry_);
}

}  // namespace ringside::soft
