<#
.SYNOPSIS
Removes the service and syncd. State, logs and configuration stay unless -Purge is given.
.PARAMETER Python
The python.exe that syncd was installed into.
.PARAMETER Purge
Remove state, logs and configuration too.
#>
#Requires -RunAsAdministrator
param(
    [Parameter(Mandatory)] [string] $Python,
    [switch] $Purge
)
$ErrorActionPreference = 'Stop'

$words = @('service', 'uninstall')
if ($Purge) { $words += '--purge' }
& $Python -m syncd @words
if ($LASTEXITCODE -ne 0) { throw "the service could not be removed" }
& $Python -m pip uninstall --yes syncd
